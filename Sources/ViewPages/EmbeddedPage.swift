/// The page, until there is one that shows more.
enum EmbeddedPage {
  static let index = """
    <!doctype html><html lang="en"><meta charset="utf-8"><title>Bulkhead</title>
    <ul><li><a href="/metrics">metrics</a><li><a href="/v1/status">status</a><li><a href="/readyz">ready?</a></ul></html>

    """
}
