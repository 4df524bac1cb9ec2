import { isReaderGone } from './write-failure.ts'

/** The part of a stream that output needs; tests hand in their own. */
export interface TextStream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string, done?: () => void): boolean
  once(event: 'drain' | 'close' | 'error', listener: (error: Error) => void): unknown
  off(event: 'drain' | 'close' | 'error', listener: (error: Error) => void): unknown
}

export interface Sink {
  readonly isTTY: boolean
  readonly columns: number
  /** Nobody reads any more. */
  readonly gone: boolean
  /** Resolves when the reader has room again. Lines of one turn of the event loop reach it in one write. */
  write(text: string): void | Promise<void>
  /** Resolves when everything written has left this process, or never will. */
  flush(): Promise<void>
}

const flushAtChars = 64 * 1024

/**
 * Gathers what is written in one turn of the event loop, so that a burst costs one system call and a single line still
 * leaves at once. Backpressure: `write` returns a promise while the reader is slow.
 */
export function createSink(stream: TextStream): Sink {
  let waiting: string[] = []
  let chars = 0
  let scheduled = false
  /** What is written now goes nowhere. */
  let failed = false
  let gone = false
  stream.once('error', (error) => {
    failed = true
    gone = isReaderGone(error)
  })

  const push = (): boolean => {
    scheduled = false
    if (chars === 0) return true
    const text = waiting.join('')
    waiting = []
    chars = 0
    return failed ? true : stream.write(text)
  }
  const room = () => (failed ? Promise.resolve() : drained(stream))

  return {
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 120
    },
    get gone() {
      return gone
    },
    write(text) {
      waiting.push(text)
      chars += text.length
      if (chars >= flushAtChars) return push() ? undefined : room()
      if (scheduled) return undefined
      scheduled = true
      setImmediate(push)
      return undefined
    },
    async flush() {
      push()
      if (failed) return
      await new Promise<void>((resolve) => {
        stream.once('close', () => resolve())
        stream.once('error', () => resolve())
        stream.write('', resolve)
      })
    },
  }
}

function drained(stream: TextStream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close', 'error'] as const) stream.off(event, done)
      resolve()
    }
    for (const event of ['drain', 'close', 'error'] as const) stream.once(event, done)
  })
}
