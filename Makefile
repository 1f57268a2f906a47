# Thin: every line is a command that also works by itself.
.PHONY: test lint bench generate

test: ## all tests
	cargo test

lint: ## format, clippy, licences
	.ci/lint

bench: ## speed and memory against a program written by hand
	cargo bench

generate: ## rewrite what is generated from the code
	UPDATE=1 cargo test --test house
