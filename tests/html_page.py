"""An HTML page, taken apart for tests."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects what a page refers to, its SVGs, and checks that tags close."""

    VOID = ("meta", "link", "br", "img", "input", "hr", "col")

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.svgs, self.ids, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.references += [v for k, v in attributes.items() if k in ("src", "href", "xlink:href", "data", "action")]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "svg":
            self.svgs.append(attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
