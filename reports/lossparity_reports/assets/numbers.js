// Hex floats of the record as numbers, decimals and distances. Formats come from the payload: digits, precision, emin.
const EXTRA_DIGITS = 4; // an exact value is shown with more digits than its format holds, so that its distance is seen

function parseNumber(text) {
  if (text === undefined || text === null) return null;
  const hex = /^(-?)0x([01])(?:\.([0-9a-f]*))?p([+-]?\d+)$/.exec(text);
  if (hex) {
    const fraction = hex[3] || '';
    const mantissa = parseInt(hex[2] + fraction, 16); // at most 53 bits: exact
    const size = mantissa * 2 ** (Number(hex[4]) - 4 * fraction.length);
    return hex[1] ? -size : size;
  }
  if (/^-?inf(inity)?$/.test(text)) return text[0] === '-' ? -Infinity : Infinity;
  if (/^-?nan$/.test(text)) return NaN;
  if (/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return Number(text);
  return null; // not a number: shown as it stands
}

function spacing(value, format) {
  if (value === 0) return 2 ** (format.emin + 1 - format.precision);
  const size = Math.abs(value);
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent -= 1; // log2 was rounded up
  return 2 ** (Math.max(exponent, format.emin) + 1 - format.precision);
}

function fits(value, format) {
  if (format.precision === 53 || !Number.isFinite(value)) return true;
  return Number.isInteger(value / spacing(value, format));
}

function decimalText(text, format, exact) {
  const value = parseNumber(text);
  if (value === null || !format) return text === undefined || text === null ? '–' : text;
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  const digits = exact ? Math.min(format.digits + EXTRA_DIGITS, 17) : fits(value, format) ? format.digits : 17;
  return String(Number(value.toPrecision(digits)));
}

function short(value) {
  if (value === undefined || value === null) return '–';
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(3)));
}

// The distance in units of the format's spacing at the exact value, as far as binary64 can tell; text where it cannot.
function distance(got, exact, format) {
  const a = parseNumber(got), b = parseNumber(exact);
  if (a === null || b === null || !format) return '–';
  if (Object.is(a, b) || a === b) return '0';
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.isNaN(a) && Number.isNaN(b) ? '0' : 'class';
  return short(Math.abs(a - b) / spacing(b, format));
}

function flatIndex(index, shape) {
  return index.reduce((flat, i, axis) => flat * shape[axis] + i, 0);
}

function placeText(index) {
  return index.length ? `[${index.join(', ')}]` : 'scalar';
}

function unravel(flat, shape) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(flat % shape[axis]);
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}
