import { createMutex } from './mutex.ts'

/** How long others wait for one that is alone, and that one for them. */
const patienceMs = 250

/** What may end the process runs apart from all that may be blamed for it, and from all that may end it in its place. */
export interface Apart {
  /** To be awaited where it is a promise; then `leave`, once. */
  enter(): Promise<void> | undefined
  leave(): void
  /** One at a time, while nothing that has entered runs. Who does not leave, or does not end, is not waited for longer than a quarter of a second. */
  alone<T>(work: () => Promise<T>): Promise<T>
}

export function createApart(waitMs = patienceMs): Apart {
  const oneByOne = createMutex()
  let running = 0
  /** Resolves when whoever is alone has ended. */
  let closed: Promise<void> | undefined
  let onEmpty: (() => void) | undefined

  function leave(): void {
    running -= 1
    if (running === 0) onEmpty?.()
  }

  async function empty(): Promise<void> {
    if (running > 0) await new Promise<void>((resolve) => (onEmpty = resolve))
    onEmpty = undefined
  }

  return {
    enter() {
      if (closed)
        return closed.then(() => {
          running += 1
        })
      running += 1
      return undefined
    },
    leave,
    alone: (work) =>
      oneByOne(async () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        closed = promise
        const open = () => {
          if (closed === promise) closed = undefined
          resolve()
        }
        const timer = setTimeout(open, waitMs)
        try {
          await Promise.race([empty(), promise])
          return await work()
        } finally {
          clearTimeout(timer)
          open()
        }
      }),
  }
}

/** Of this process. */
export const apart: Apart = createApart()
