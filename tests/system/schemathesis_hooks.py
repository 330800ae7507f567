"""What schemathesis has to be told of our API: it loads this file itself."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
