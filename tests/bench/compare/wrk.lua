-- What wrk counted, as JSON. Nothing runs for each answer: that would cost the load generator what it measures.
done = function(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %.6f, "requests": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, '
      .. '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}\n',
    summary.duration / 1e6, summary.requests, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
