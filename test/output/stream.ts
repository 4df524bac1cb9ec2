import type { TextStream } from '../../src/output/sink.ts'

export interface FakeStream extends TextStream {
  readonly writes: string[]
  readonly text: string
  /** While full, `write` returns false, until `drain`. */
  full: boolean
  drain(): void
  /** The reader goes away, or what the code says. */
  fail(code?: string): void
  isTTY: boolean
  columns: number
}

/** A stream whose reader the test is. */
export function createStream(shape: { readonly isTTY?: boolean; readonly columns?: number } = {}): FakeStream {
  const writes: string[] = []
  const waiting = new Map<string, Set<(error: Error) => void>>()
  return {
    writes,
    get text() {
      return writes.join('')
    },
    full: false,
    isTTY: shape.isTTY ?? false,
    columns: shape.columns ?? 80,
    write(text, done) {
      writes.push(text)
      if (done) done()
      return !this.full
    },
    once(event, listener) {
      waiting.set(event, (waiting.get(event) ?? new Set()).add(listener))
    },
    off(event, listener) {
      waiting.get(event)?.delete(listener)
    },
    fail(code = 'EPIPE') {
      const error = Object.assign(new Error(`${code}: it failed`), { code })
      for (const listener of [...(waiting.get('error') ?? [])]) listener(error)
    },
    drain() {
      this.full = false
      for (const listener of [...(waiting.get('drain') ?? [])]) (listener as () => void)()
    },
  }
}
