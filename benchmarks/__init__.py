"""Benchmarks of ipcpy beside a raw socket and its peers: ``python -m benchmarks``. See docs/performance.md."""
