# Every recipe is one line: the work is done by xtask (xtask/src), which `cargo xtask --help` explains too.
# `HOLDFAST_KUBERNETES=oldest` after assets, test-api or e2e takes the oldest supported Kubernetes instead of the newest.
# xtask/bootstrap.sh looks for what must be there before cargo can build anything: cargo and a C linker.

export PATH := $(PATH):$(HOME)/.cargo/bin
XTASK := @sh xtask/bootstrap.sh && cargo xtask

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-lab test-api assets bench fuzz fmt book generate images images-arm64 manifest e2e clean-cache

help: ## Explain every target (this text)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## Watch two virtual IPs fail over between three nodes, and how long it took
	$(XTASK) demo

test: ## Run every test: test-fast, test-lab, test-api
	$(XTASK) test

test-fast: ## Format, lints, licences, docs, links, unit tests, simulator: nothing leaves the process
	$(XTASK) test --tier fast

test-lab: ## Whole systems in network namespaces, beside keepalived and FRR
	$(XTASK) test --tier lab

test-api: ## Whole systems with a real Kubernetes API server, which is built once (see assets)
	$(XTASK) test --tier api

assets: ## Build etcd, kube-apiserver, kubectl and Helm, once, from Go modules: 15 minutes on two cores
	$(XTASK) assets

bench: ## Measure Holdfast beside keepalived, and the operator at scale, and write docs/benchmarks*.md
	$(XTASK) bench

fuzz: ## Fuzz every parser with nightly Rust, one minute each (more: cargo xtask fuzz --seconds 600)
	$(XTASK) fuzz

fmt: ## Format the code
	$(XTASK) fmt

book: ## Build the documentation as a book, with search, into target/book
	$(XTASK) book

generate: ## Write the generated parts of the repository anew
	$(XTASK) generate

images: ## Write container images of operator and agent to target/images, without a container engine
	$(XTASK) images

images-arm64: ## The same for 64-bit ARM, on whatever machine
	$(XTASK) images --arch arm64

manifest: ## Write deploy/holdfast.yaml from the chart, with Helm, which is built once (see assets)
	$(XTASK) manifest

e2e: ## Bring up a real cluster with kubeadm and break it step by step, half an hour; needs root
	$(XTASK) e2e

clean-cache: ## Delete what these targets built for themselves outside the checkout: tools and assets
	$(XTASK) clean-cache
