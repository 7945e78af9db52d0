"""GUIDE.md as a reader types it: blocks of all languages that are marked to be run, in
their order, against one broker. Blocks of the shell are run by `go test` too. And the
recipes of TESTING.md: a test in a language, and the command that runs it."""

import os
import re
import subprocess

import engines
from harness import CACHE, HERE, equal, want

ROOT = HERE.parent.parent
# The file that a recipe of TESTING.md is, by its language.
RECIPES = {"python": "test_orders.py", "js": "orders.test.js", "java": "src/test/java/OrdersTest.java"}
LANGUAGES = {"sh", "python", "js", "go", "java", "sql"}


def run(t):
    b = t.start("documents")
    place = t.work / "documents-reader"
    place.mkdir()
    (place / "examples").symlink_to(ROOT / "examples")
    (place / "tarn-data").symlink_to(b.data)
    found = blocks((ROOT / "GUIDE.md").read_text())
    runnable = [x for x in found if x["run"]]
    equal({x["language"] for x in runnable}, LANGUAGES, "languages that are run")
    duckdb = engines.DuckDB(t.work, f"{b.http}/iceberg")
    for n, x in enumerate(runnable):
        with t.check(f"GUIDE.md:{x['line']}, {x['language']}", seconds=600):
            text = x["text"].replace("127.0.0.1:9092", b.kafka).replace("http://127.0.0.1:8081", b.http)
            if x["language"] == "sql":
                said = [duckdb.ask(s.replace("'tarn-data/", f"'{place}/tarn-data/")) for s in statements(text)]
                want(not any("error" in a for a in said), said)
                want(said[-1]["got"], "no rows")
            else:
                want(program(t, place, x["language"], n, text).strip(), "it says nothing")
    duckdb.stop()
    with t.check("what is shown of Spark and Trino is what `tarn table status --snippets` says"):
        told = b.tarn("table", "status", "orders", "--snippets").decode()
        for x in found:
            if x["snippet"]:
                text = x["text"].replace("http://127.0.0.1:8081", b.http).strip()
                want(squeeze(text) in squeeze(told), f"line {x['line']}: it says otherwise: {told}")
    recipes(t)


def recipes(t):
    """Each recipe in a folder of its own, by the command behind it, which starts its broker."""
    found = blocks((ROOT / "TESTING.md").read_text())
    done = set()
    for x, after in zip(found, found[1:]):
        if x["language"] not in RECIPES or after["language"] != "sh":
            continue
        with t.check(f"TESTING.md:{x['line']}, {x['language']}: {after['text'].strip()}", seconds=600):
            folder = t.work / f"recipe-{x['language']}"
            file = folder / RECIPES[x["language"]]
            file.parent.mkdir(parents=True)
            file.write_text(x["text"])
            if x["language"] == "java":
                (folder / "pom.xml").write_text((HERE / "java" / "recipe" / "pom.xml").read_text())
            env = {"PATH": f"{CACHE}:{CACHE / 'venv' / 'bin'}:{os.environ['PATH']}", "NODE_PATH": str(CACHE / "node" / "node_modules")}
            step(["sh", "-eu"], after["text"], folder, env)
            # A test that asks for more than there is fails: it was run, and found its broker.
            file.write_text(x["text"].replace("hello", "other", 1))
            p = subprocess.run(["sh", "-eu"], input=after["text"].encode(), cwd=folder, capture_output=True, env={**os.environ, **env}, timeout=590)
            want(p.returncode != 0, "a test whose record is another passes too")
            done.add(x["language"])
    equal(done, set(RECIPES), "recipes that were run")


def blocks(text):
    """The blocks of a document, with the language and what stands behind it."""
    out, now = [], None
    for n, line in enumerate(text.splitlines(), 1):
        if line.startswith("```") and now is None:
            words = line[3:].split()
            now = {"language": words[0] if words else "", "run": "run" in words, "snippet": "snippet" in words, "line": n, "text": ""}
        elif line.startswith("```"):
            out.append(now)
            now = None
        elif now is not None:
            now["text"] += line + "\n"
    return out


def squeeze(text):
    return re.sub(r"\s+", " ", text)


def statements(text):
    return [s.strip() for s in text.split(";") if s.strip() and not s.strip().startswith(("INSTALL", "LOAD"))]


def program(t, place, language, n, text):
    """Runs a text in a language; its output."""
    env = {"PATH": f"{CACHE}:/usr/local/go/bin:{os.environ['PATH']}"}
    if language == "sh":
        command, stdin = ["sh", "-eu"], text
    elif language == "python":
        # deltalake's threads may abort Python's end, behind the answer.
        command, stdin = [CACHE / "venv" / "bin" / "python", "-"], text + "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n"
    elif language == "js":
        command, stdin, env["NODE_PATH"] = ["node", "-"], text, str(CACHE / "node" / "node_modules")
    elif language == "go":
        source = t.work / f"block{n}.go"
        source.write_text(text)
        built = t.work / f"block{n}"
        step(["go", "build", "-o", built, source], "", ROOT, {"CGO_ENABLED": "0"})
        command, stdin = [built], ""
    else:
        [name] = re.findall(r"public class (\w+)", text)
        folder = t.work / f"block{n}"
        folder.mkdir()
        (folder / f"{name}.java").write_text(text)
        path = f"{CACHE}/java/serdes/*:{CACHE}/java/tools/*"
        step(["javac", "-cp", path, "-d", folder, folder / f"{name}.java"], "", place, {})
        command, stdin = ["java", "-cp", f"{folder}:{path}", name], ""
    return step(command, stdin, place, env)


def step(command, stdin, place, env):
    p = subprocess.run([str(c) for c in command], input=stdin.encode(), cwd=place, capture_output=True, env={**os.environ, **env}, timeout=590)
    equal(p.returncode, 0, f"exit code of {command[0]}; {p.stdout.decode()[-300:]} {p.stderr.decode()[-1200:]}")
    return p.stdout.decode()
