#!/usr/bin/env python3
"""Writes long texts that calibrate nothing, for the table "Long texts" of docs/VALIDITY.md.

    long_texts.py --cache DIR --people people.jsonl --fast-detectgpt DIR --models A.jsonl B.jsonl --out long.jsonl

People's texts of 600 to 2,000 words come from the documents of the test part; the models' are those of the files that
`whowrote generate` wrote, if they have 280 words or more; and texts that both had a part in begin with about 300 words by a person. Then either a
model's text follows to the end, or about 165 words of one, and the person's text goes on. The names of these end in the
places of the model's words, as in `half/3@301-620`.
"""

import argparse
import collections
import json
import os
import random
import re

import people

SEED = 17
LENGTHS = (600, 850, 1200, 2000)  # words of a person's text
TEXTS = 60  # of people, and of each kind of text by both
LEAST = 280  # words of a model's text
MOST_COPIED = 0.2
BEFORE = {"half": 300, "inside": 320}  # words by a person before a model's
INSIDE, AFTER = 165, 280  # words by the model, and by the person after it
SENTENCE_END = re.compile(r'[.!?]["\u201d\u2019)]?\s')


def lines(path):
    """The objects of a JSONL file."""
    with open(path, encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file.read().split("\n") if line]


def by_people(documents, parts, rng):
    """A beginning of the longest stretch of documents of the test part, of each genre in turn."""
    found = collections.defaultdict(list)
    for document in documents:
        if parts.get(f"{document.genre}/{document.name}", parts.get(document.name)) != "test":
            continue
        run = max(document.runs, key=lambda run: people.starts(run)[2])
        room = people.starts(run)[2]
        if room < LENGTHS[0]:
            continue
        text = people.cut(run, 0, min(room, rng.choice(LENGTHS)))
        if people.looks_clean(text) and people.looks_english(text):
            found[document.genre].append({"id": f"{document.genre}/{document.name}", "text": text})
    genres = sorted(found)
    for texts in found.values():
        rng.shuffle(texts)
    chosen = []
    while len(chosen) < TEXTS and any(found.values()):
        for genre in genres:
            if found[genre] and len(chosen) < TEXTS:
                chosen.append(found[genre].pop())
    return chosen


def by_models(paths, rng):
    """Long texts of each model, of each way of sampling in turn."""
    chosen = []
    for path in paths:
        found = collections.defaultdict(list)
        for text in lines(path):
            if len(text["text"].split()) >= LEAST and text["copied"] < MOST_COPIED:
                found[text["decoding"]].append(text)
        for texts in found.values():
            rng.shuffle(texts)
        of_model = []
        while len(of_model) < TEXTS and any(found.values()):
            for decoding in sorted(found):
                if found[decoding] and len(of_model) < TEXTS:
                    text = found[decoding].pop()
                    of_model.append({"id": f"{text['author']}/{text['id']}", "model": text["author"], "text": text["text"]})
        chosen += of_model
    return chosen


def sentences(text, words):
    """Where the last sentence within so many words ends."""
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    end = ends[min(words, len(ends)) - 1]
    found = [sentence.end() for sentence in SENTENCE_END.finditer(text[:end])]
    return found[-1] if found else end


def by_both(humans, models, rng):
    """Texts that a model goes on with to the end, and texts with a stretch by a model inside."""
    rng.shuffle(models)
    middle = len(models) // 2
    for kind, order in (("half", models), ("inside", models[middle:] + models[:middle])):
        for number, (human, model) in enumerate(zip(humans, order)):
            text, by_model = human["text"], model["text"]
            begin = sentences(text, BEFORE[kind])
            parts = [text[:begin].rstrip()]
            if kind == "half":
                parts.append(by_model)
            else:
                rest = text[begin:]
                parts += [by_model[:sentences(by_model, INSIDE)].rstrip(), rest[:sentences(rest, AFTER)]]
            first = len(parts[0].split()) + 1
            last = first + len(parts[1].split()) - 1
            yield kind, {"id": f"{kind}/{number}@{first}-{last}", "model": model["model"], "text": "\n\n".join(parts)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("cache", "people", "fast-detectgpt", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--models", nargs="+", required=True)
    args = parser.parse_args()
    documents = list(people.fast_detectgpt(args.fast_detectgpt))
    for source in people.SOURCES:
        documents += source(os.path.abspath(args.cache))
    parts = {piece["document"]: piece["part"] for piece in lines(args.people)}
    rng = random.Random(SEED)
    humans = by_people(documents, parts, rng)
    models = by_models(args.models, rng)
    written = [("people", text) for text in humans]
    written += [(f"model: {text['model']}", text) for text in models]
    names = {"half": "a person, then {} to the end", "inside": "150 words by {} in a person's"}
    written += [(names[kind].format(text["model"]), text) for kind, text in by_both(humans, models, rng)]
    with open(args.out, "w", encoding="utf-8") as file:
        for group, text in written:
            line = {"id": text["id"], "document": text["id"], "group": group, "text": text["text"]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
