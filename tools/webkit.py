"""Print the path of a WebKit to test with: that of the WEBKIT environment variable, or the one that Playwright downloaded."""

import browsers


def find() -> str:
    """Path of a WebKit; there is none to install but Playwright's, which `playwright install webkit` fetches."""
    return browsers.find("webkit", lambda: browsers.playwrights_own("webkit"))


if __name__ == "__main__":
    print(find())
