// Rows that are written by columns: `of` are the different texts of one, `at` their places.
function rowsOf(columns) {
  const rows = [];
  for (const [name, column] of Object.entries(columns)) {
    const values = Array.isArray(column) ? column : column.at.map(place => column.of[place]);
    values.forEach((value, i) => {
      rows[i] ??= {};
      if (value !== null) rows[i][name] = value;
    });
  }
  return rows;
}

// The record as the page holds it; a result does not repeat what its case says, nor what is made of its other names.
async function readPayload() {
  const data = await (await inflated('payload')).json();
  data.results = rowsOf(data.results);
  const cases = new Map(data.cases.map(c => [c.id + '\n' + c.format, c]));
  for (const r of data.results) {
    const { clause, operation, input_hash } = cases.get(r.case + '\n' + r.format) || {};
    r.check ??= `${r.case}/${r.format}@${r.backend}`;
    r.clause ??= clause;
    r.operation ??= operation;
    r.input_hash ??= input_hash;
    r.suite = r.case.split('/', 1)[0];
  }
  return data;
}
