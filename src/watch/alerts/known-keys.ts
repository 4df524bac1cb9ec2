/** What is remembered of each key, as JSON. More of them than `mostKeys` are forgotten: a flood of subjects must not fill the memory. */
export interface KnownKeys<V> {
  get(key: string): V | undefined
  put(key: string, value: V): void
  delete(key: string): void
  /** Those that were not touched for longest first. */
  all(): Iterable<[string, V]>
  /** These are not forgotten: somebody was told of them, and would be told that they are over. */
  keep(keys: readonly string[]): void
  /** How many were forgotten since this was last asked. */
  takeForgotten(): number
}

export function createKnownKeys<V>(remembered: Readonly<Record<string, V>>, mostKeys: number): KnownKeys<V> {
  const known = new Map(Object.entries(remembered))
  let kept: ReadonlySet<string> = new Set()
  let forgotten = 0

  function forgetOne(): void {
    let left = kept.size
    for (const [key, value] of known) {
      known.delete(key)
      if (!kept.has(key) || left === 0) break
      // To the end of the queue.
      known.set(key, value)
      left -= 1
    }
    forgotten += 1
  }

  return {
    get: (key) => known.get(key),
    put(key, value) {
      known.delete(key)
      known.set(key, value)
      if (known.size > mostKeys) forgetOne()
    },
    delete: (key) => void known.delete(key),
    all: () => known,
    keep(keys) {
      kept = new Set(keys)
    },
    takeForgotten() {
      const taken = forgotten
      forgotten = 0
      return taken
    },
  }
}
