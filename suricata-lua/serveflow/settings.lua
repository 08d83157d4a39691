-- What can be set. Suricata's environment overrides the first two.
return {
  -- The sidecar's socket.
  socket = os.getenv("SERVEFLOW_SOCKET") or "/run/serveflow/serveflow.sock",
  -- The name of this sensor. Flow ids are unique within a sensor: two Suricatas
  -- that use one sidecar need a name each.
  sensor = os.getenv("SERVEFLOW_SENSOR") or "suricata",
  -- A batch is written when it has so many bytes, or when its oldest message
  -- has waited for so many microseconds of packet time.
  batch_bytes = 32768,
  batch_us = 100000,
  -- Bytes that may wait for a sidecar that is slow or absent.
  buffer_bytes = 1048576,
  -- Seconds that a capture (suricata -r) waits for the sidecar at most.
  patience = 30,
}
