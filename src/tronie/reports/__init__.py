"""One result object, shown as HTML, JSON, Markdown or plain text."""
