"""What runs first in the Python of another environment: it says what that Python lacks, or becomes the worker.

`python ZIP FRAMEWORK IN OUT ...`; what follows FRAMEWORK are the arguments of `lossparity.worker`. The zip of
`lossparity.bundle` holds this file as its `__main__.py`. Nothing here is newer than Python 2.7, so that one that is too
old can say so itself.
"""

import json
import os
import platform
import struct
import sys

if __name__ == "__main__":
    framework = sys.argv.pop(1)
    lacking = ""
    if sys.version_info < (3, 9):  # noqa: UP036 - it is another Python's version
        lacking = "it is Python " + platform.python_version() + ", and 3.9 or newer is needed"
    else:
        from importlib.util import find_spec

        missing = [name for name in sorted({"numpy", framework}) if find_spec(name) is None]
        lacking = "it has no " + " and no ".join(missing) if missing else ""
    if lacking:
        message = json.dumps({"unavailable": lacking, "absent": True, "arrays": []}).encode("utf-8")
        os.write(int(sys.argv[2]), struct.pack("<QQ", 0, len(message)) + message)
    else:
        from lossparity.worker import main

        main(sys.argv[1:])
