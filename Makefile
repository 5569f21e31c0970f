# Everything runs in .venv, which the first call makes. PYTHON=… chooses the interpreter.
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test check setup reference clean

demo: setup
	$(BIN)/worldmodel demo

test: setup
	$(BIN)/python -m pytest -q

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest -q

setup: $(READY)

$(READY): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh .venv
	@touch $@

# Makes a model by the shipped recipe from nothing, in one to two hours on two cores.
reference: setup
	tools/reference.sh runs/reference

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache
