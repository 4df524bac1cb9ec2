const resyncMs = 1000
let offset = Date.now() - performance.now()
let syncedAt = performance.now()

/** Milliseconds since the epoch with a fraction; follows steps of the system clock within a second. */
export function wallMs(): number {
  const now = performance.now()
  if (now - syncedAt > resyncMs) {
    const drift = Date.now() - now - offset
    // Date.now() is cut to whole milliseconds: smaller differences are only that.
    if (Math.abs(drift) > 2) offset += drift
    syncedAt = now
  }
  return now + offset
}
