# Thin: every line is a command that also works by itself.
.PHONY: demo test lint bench bench-scale generate cluster cluster-stop images

demo: ## two demo systems come into step
	examples/demo.sh

test: ## all tests
	cargo test

lint: ## format, clippy, licences
	.ci/lint

bench: ## speed and memory against a program written by hand
	cargo bench --bench throughput --bench restart

bench-scale: ## the controller at a thousand and ten thousand Syncs, on a real API server: half an hour
	cargo bench --bench scale

generate: ## rewrite what is generated from the code
	UPDATE=1 cargo test --test house

cluster: ## a cluster of your own: a node where there can be one; prints what makes kubectl and helm speak to it
	@tests/cluster/up

cluster-stop: ## the end of it
	@tests/cluster/down

images: ## builds the operator's image and the demo's, and hands them to that cluster
	@tests/cluster/load
