"""What the Chinese edition needs of Sphinx: a search that finds Chinese words.

Words are cut by jieba when the index is made, and by the browser's ``Intl.Segmenter`` when a reader searches. Sphinx
9.0 writes ``window.Stemmer = ChineseStemmer``, which its scripts do not define: they define ``EnglishStemmer``.
"""

from __future__ import annotations

from sphinx.search.zh import SearchChinese

# The index holds no Chinese words of one character, so none is asked for.
SPLITTER = """
function splitQuery(query) {
    const parts = query.match(/\\p{Script=Han}+|(?:(?!\\p{Script=Han})[\\p{L}\\p{N}_])+/gu) || [];
    const cutter = new Intl.Segmenter("zh", {granularity: "word"});
    return parts.flatMap((part) => /\\p{Script=Han}/u.test(part)
        ? Array.from(cutter.segment(part), (piece) => piece.segment).filter((word) => word.length > 1)
        : [part]);
}
"""


def mend_search() -> None:
    """Make Sphinx's Chinese search work in the pages that are built after this."""
    SearchChinese.language_name = "English"
    SearchChinese.js_splitter_code = SPLITTER
