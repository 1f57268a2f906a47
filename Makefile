# Thin: every line is a command that also works by itself.
.PHONY: demo test lint bench generate

demo: ## two demo systems come into step
	examples/demo.sh

test: ## all tests
	cargo test

lint: ## format, clippy, licences
	.ci/lint

bench: ## speed and memory against a program written by hand
	cargo bench

generate: ## rewrite what is generated from the code
	UPDATE=1 cargo test --test house
