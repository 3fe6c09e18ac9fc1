# Needs only Python 3.11+ and make. The first run sets up .venv; later runs are quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What the examples for others' frameworks need, apart from the server.
FRAMEWORKS := .venv-agents/.installed .venv-langchain/.installed
# What the measurements compare with.
PEERS := .venv-peers/.installed
TYPESCRIPT := examples/frameworks/typescript
CONFORMANCE := tests/processes/conformance
OAUTH := tests/processes/oauth
VIEWS := views
VIEW_HOSTS := tests/browser/hosts

.PHONY: demo test test-processes test-python conformance oauth views fuzz bench lint check frameworks generate screenshots docs evals evals-seeds evals-local bundle lock clean

demo: $(STAMP)  ## A deal worked end to end against the embedded sandbox
	$(BIN)/roadster-mcp demo

test: $(STAMP)  ## The suite without the tests of processes and of pages, on every core
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not processes and not browser"

test-processes: $(STAMP)  ## Tests of workers, replicas, signals and kills, in real processes
	$(BIN)/python -m pytest -n auto --dist worksteal -m processes

test-browser: $(STAMP) $(VIEWS)/node_modules/.installed $(VIEW_HOSTS)/node_modules/.installed  ## Tests of pages and views, in Chromium
	$(BIN)/python -m pytest -n auto --dist worksteal -m browser

screenshots: $(STAMP) $(VIEW_HOSTS)/node_modules/.installed  ## Pictures of pages and views, into docs/assets; needs Chromium
	$(BIN)/python -m tests.browser.screenshots
	$(BIN)/python -m tests.browser.view_pictures

# For instance: make test-python PYTHON=python3.13. Each version has an environment of its own.
test-python:  ## Both lanes of tests on another version of Python
	$(MAKE) test test-processes VENV=.venv-python$$($(PYTHON) -c 'import sys; print("{}.{}".format(*sys.version_info))')

conformance: $(STAMP) $(CONFORMANCE)/node_modules/.installed  ## The official conformance suite of MCP, for both eras
	$(BIN)/python -m pytest $(CONFORMANCE)/../test_conformance.py

oauth: $(STAMP) $(OAUTH)/node_modules/.installed  ## Official clients sign in with a real OpenID provider
	$(BIN)/python -m pytest $(OAUTH)/../test_sign_in.py

views: $(VIEWS)/node_modules/.installed  ## The views anew, into the server's package; needs npm
	cd $(VIEWS) && npm run --silent build

fuzz: $(STAMP)  ## 20,000 odd inputs of each kind, which takes some minutes
	ROADSTER_FUZZ_INPUTS=20000 $(BIN)/python -m pytest -s tests/fuzz

bench: $(STAMP) $(PEERS)  ## Measure everything beside other servers, and write docs/reference/performance.md
	$(BIN)/python -m bench --write

lint: $(STAMP)  ## Lint, formatting, strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint frameworks $(CONFORMANCE)/node_modules/.installed $(OAUTH)/node_modules/.installed .venv-evals/.installed test-processes test-browser test  ## What CI runs

# Exact versions with hashes first, then the project itself, which hash checking cannot cover. --no-deps: a lock is
# complete, and older versions of pip look for a newer release of a package that another one needs with an extra.
$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

frameworks: $(STAMP)  ## What the examples need besides the server, side by side
	$(MAKE) -j 3 $(FRAMEWORKS) $(TYPESCRIPT)/node_modules/.installed

# Too many dependencies, or other ones, to share an environment with: .venv-NAME, of requirements-NAME.lock.
define install_apart
	$(PYTHON) -m venv --clear --without-pip $(@D)
	$(BIN)/python -m pip --python $(@D) install --quiet --no-cache-dir --no-compile --disable-pip-version-check \
		--no-deps --require-hashes -r $<
endef

$(FRAMEWORKS) $(PEERS): .venv-%/.installed: requirements-%.lock | $(STAMP)
	$(install_apart)
	touch $@

# The evaluation kit is the project's own.
.venv-evals/.installed: requirements-evals.lock pyproject.toml | $(STAMP)
	$(install_apart)
	$(BIN)/python -m pip --python $(@D) install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable .
	touch $@

# Without npm nothing is installed, and the test says so.
%/node_modules/.installed: %/package-lock.json
	if ! command -v npm >/dev/null; then echo "there is no npm: $(<D) is not installed"; exit; fi; \
		cd $(<D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --cache .npm-cache && \
		rm -rf .npm-cache && touch node_modules/.installed

generate: $(STAMP)  ## Write anew all that is derived from the code: schemas, tables, references
	$(BIN)/python packaging/schemas.py
	$(BIN)/python -m tests.server.protocol.test_contract
	$(BIN)/python -m pytest -qq -p tests.reliability --collect-only
	$(BIN)/python -m roadster_evals --write docs/develop/scenarios.md
	$(BIN)/python -m bench.tokens --write
	$(BIN)/python packaging/generate_docs.py

docs: $(STAMP)  ## The documentation as a site, into dist/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

evals: $(STAMP)  ## Work the evaluation scenarios with every agent, and write their table anew
	$(BIN)/python -m roadster_evals --write docs/develop/scenarios.md

# For instance: make evals-seeds RESULTS=dist. The same command goes on there after an interruption; delete the files of a
# whole run before the next one. The trials that fail are named on stderr.
evals-seeds: $(STAMP)  ## Try the reference in 50 worlds, and the bad agents in 20, which takes some minutes
	$(BIN)/python -m roadster_evals --agent reference --seeds 1-50 $(if $(RESULTS),--results $(RESULTS)/reference.jsonl) >/dev/null
	$(BIN)/python -m roadster_evals --seeds 1-20 $(if $(RESULTS),--results $(RESULTS)/agents.jsonl) >/dev/null

# The page on the evaluation says how to start the model. The command ends with 1 where a trial is not solved.
BASELINES := dist/baselines
evals-local: $(STAMP)  ## Try a small local model and the rules at a sample of the scenarios, and write their results anew
	mkdir -p $(BASELINES) && rm -f $(BASELINES)/*.jsonl
	-$(BIN)/python -m roadster_evals --agent rules --only te --results $(BASELINES)/rules.jsonl
	-OPENAI_BASE_URL=http://127.0.0.1:8431/v1 OPENAI_MODEL=smollm2-135m CHAT_TOOLS=3 CHAT_ANSWER=800 \
		CHAT_OPTIONS='{"temperature": 0, "max_tokens": 96}' PYTHONPATH=examples/evals \
		$(BIN)/python -m roadster_evals --agent chat_agent:ChatAgent --only te --workers 1 \
		--results $(BASELINES)/smollm2.jsonl

bundle: $(STAMP)  ## An MCP bundle of the project, into dist/
	$(BIN)/python packaging/bundle.py

# Needs uv; writes no index address.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--extra keyring -c requirements.lock pyproject.toml -o requirements-bundle.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		--group evals -c requirements.lock pyproject.toml -o requirements-evals.lock
	for group in agents langchain peers; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --upgrade --group $$group -o requirements-$$group.lock || exit; done

clean:
	rm -rf $(VENV) .venv-evals $(wildcard .venv-python*) $(dir $(FRAMEWORKS) $(PEERS)) $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/build \
		$(CONFORMANCE)/node_modules $(OAUTH)/node_modules $(VIEWS)/node_modules $(VIEW_HOSTS)/node_modules
