# Everything runs in .venv, which the first call makes. PYTHON=… chooses the interpreter.
BIN := .venv/bin
# Bytecode is kept, whatever a container says: each process would compile all of torch.
export PYTHONDONTWRITEBYTECODE :=
READY := .venv/ready
# A process a core, at most eight; a file of tests stays in one, which shares its fixtures.
TESTS := $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadscope

.PHONY: demo test check setup reference clean

demo: setup
	$(BIN)/worldmodel demo

test: setup
	$(TESTS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(TESTS)

setup: $(READY)

$(READY): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh .venv
	@touch $@

# Makes a model by the shipped recipe from nothing: two cores take one to two hours with
# AVX-512, about four without.
reference: setup
	tools/reference.sh runs/reference

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache
