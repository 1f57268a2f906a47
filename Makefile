# Thin: every line is a command that also works by itself.
.PHONY: demo test lint bench bench-scale faults fuzz generate cluster cluster-stop images

demo: ## two demo systems come into step
	examples/demo.sh

test: ## all tests
	cargo test

lint: ## format, clippy, licences
	.ci/lint

bench: ## speed and memory against a program written by hand, webhooks against the store alone, limited systems
	cargo bench --bench throughput --bench restart --bench webhooks --bench rate

bench-scale: ## the controller at a thousand and ten thousand Syncs, on a real API server: half an hour
	cargo bench --bench scale

faults: ## the long run of the fault and kill tests; rewrites the tables of docs/promise.md
	UPDATE=1 SYNCLINE_FAULT_SEEDS=$${SYNCLINE_FAULT_SEEDS:-100000} cargo test --profile soak --test faults nothing_is_lost -- --nocapture
	SYNCLINE_KILL_CYCLES=$${SYNCLINE_KILL_CYCLES:-2500} cargo test --profile soak --test kill

fuzz: ## a million damaged inputs for whatever reads what others wrote; where a case is slow, a share of them
	SYNCLINE_FUZZ_CASES=$${SYNCLINE_FUZZ_CASES:-1000000} cargo test --profile soak --test fuzz -- --nocapture
	SYNCLINE_FUZZ_CASES=$${SYNCLINE_FUZZ_CASES:-1000000} cargo test --profile soak --lib -- fuzz_tests mutation_tests --nocapture

generate: ## rewrite what is generated from the code
	UPDATE=1 cargo test --test house

cluster: ## a cluster of your own: a node where there can be one; prints what makes kubectl and helm speak to it
	@tests/cluster/up

cluster-stop: ## the end of it
	@tests/cluster/down

images: ## builds the operator's image and the demo's, and hands them to that cluster
	@tests/cluster/load
