#!/usr/bin/env python3
"""Collect texts by language models that are not loaded, and by people who wrote on the same subjects.

    other_models.py --data FOLDER --people people.jsonl --out other-models.jsonl

FOLDER has files of public benchmarks: pairs of Fast-DetectGPT, Lastde and AdaDetectGPT (`*.raw_data.json`), DetectRL's
direct prompts (`detectrl_direct.json`) and MixSet's completions (`mixset_llama2_complete.json`). people.jsonl is what
people.py made: a document that stands there too keeps its name. The script needs Python's standard library alone.

One line of the output is one text:
    {"id", "document", "label", "source", "part", "domain", "licence", "date", "text"}

"label" is the model's name, or human; "part" is calibrate for models that answer requests, base for models that only continue
texts, and people. A text and its counterpart have one document. Where a model continues a person's
beginning, the beginning is cut off from both, so that nothing but the author differs.
"""

import argparse
import json
import os
import re

PAIRS = {
    "Fast-DetectGPT": ["xsum_gpt-3.5-turbo", "writing_gpt-3.5-turbo", "xsum_davinci", "writing_davinci"],
    "Lastde": ["xsum_gpt4turbo", "reddit_gpt4turbo", "xsum_claude3haiku", "reddit_claude3haiku"],
    "AdaDetectGPT": ["xsum_claude-3-5-haiku", "yelp_claude-3-5-haiku", "xsum_gemini-2.5-flash", "yelp_gemini-2.5-flash"],
}
# Models that continue texts and follow no instructions. Their texts calibrate nothing.
BASE = {"davinci"}
# One name for one model, and for what may be one model. DetectRL's ChatGPT is GPT-3.5; which Llama 2 MixSet asked is not
# known.
NAMES = {
    "gpt4turbo": "gpt-4-turbo", "claude3haiku": "claude-3-haiku", "claude-3-5-haiku": "claude-3.5-haiku",
    "ChatGPT": "gpt-3.5-turbo", "Claude-instant": "claude-instant", "Google-PaLM": "palm-2", "Llama-2-70b": "llama-2",
}
DOMAINS = {
    "xsum": "news", "writing": "stories", "reddit": "stories", "yelp": "reviews",
    "abstract": "abstracts", "document": "news", "story": "stories", "content": "reviews",
    "paper_abstract": "abstracts", "game_review": "reviews", "speech": "speeches", "email_content": "email",
}
SHORTEST = 20  # words; shorter texts are not judged


def beginning(text):
    """What two copies of a text have in common, whatever became of their punctuation and of a forum's tag before it."""
    text = re.sub(r"^[\[{(] ?[A-Za-z]{2} ?[\]})] ", "", text)
    return " ".join(re.findall(r"[a-z0-9]+", text.lower())[:10])


def without_common_words(first, second):
    """Both texts without the words that both begin with."""
    words = [[(m.group(), m.start()) for m in re.finditer(r"\S+", text)] for text in (first, second)]
    same = 0
    while same < min(map(len, words)) and words[0][same][0] == words[1][same][0]:
        same += 1
    return [text[w[same][1]:] if same < len(w) else "" for text, w in zip((first, second), words)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--people", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()

    documents = {}
    with open(args.people, encoding="utf-8") as lines:
        for line in lines:
            piece = json.loads(line)
            if piece["genre"] in ("news", "stories"):
                documents.setdefault(beginning(piece["text"]), piece["document"])

    def load(name):
        with open(os.path.join(args.data, name), encoding="utf-8") as file:
            return json.load(file)

    texts = []

    def add(source, domain, place, original, model, person, sampled):
        document = documents.setdefault(beginning(original), f"{source}/{place}")
        for label, text in (("human", person), (model, sampled)):
            if text is not None and len(text.split()) >= SHORTEST:
                texts.append({
                    "id": f"{source}/{place}/{label}", "document": document, "label": label, "source": source,
                    "part": "people" if label == "human" else "base" if label in BASE else "calibrate", "domain": domain, "licence": "benchmark", "date": "2022 to 2025", "text": text,
                })

    for files in PAIRS.values():
        for name in files:
            domain, model = name.split("_", 1)
            pairs = load(name + ".raw_data.json")
            for place, (original, sampled) in enumerate(zip(pairs["original"], pairs["sampled"])):
                person, rest = without_common_words(original, sampled)
                add(name, DOMAINS[domain], place, original, NAMES.get(model, model), person, rest)

    lines = load("detectrl_direct.json")
    people = [line for line in lines if line["label"] == "human"]
    models = [line for line in lines if line["label"] != "human"]
    assert len(people) == len(models) and all(p["llm_type"] == m["llm_type"] for p, m in zip(people, models))
    for place, (person, model) in enumerate(zip(people, models)):
        domain = DOMAINS.get(person["data_type"], person["data_type"])
        add("detectrl", domain, place, person["text"], NAMES[model["llm_type"]], person["text"], model["text"])

    for place, line in enumerate(load("mixset_llama2_complete.json")):
        whole = line["HWT_sentence"]
        person, rest = without_common_words(whole, line["llama_complete_output"])
        add("mixset", DOMAINS.get(line["category"], line["category"]), place, whole, "llama-2", person, rest)

    with open(args.out, "w", encoding="utf-8") as out:
        for text in texts:
            out.write(json.dumps(text, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
