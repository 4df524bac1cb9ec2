/** How long others wait for one that is alone, and that one for them. */
const usualPatienceMs = 250

/** What may end the process runs apart from all that may be blamed for it, and from all that may end it in its place. */
export interface Apart {
  /** To be awaited where it is a promise; then `leave`, once. */
  enter(): Promise<void> | undefined
  leave(): void
  /**
   * One at a time, while nothing that has entered runs. Who does not leave, or does not end, is not waited for longer than a quarter of a
   * second, or `patienceMs`: then others run beside it, and the next one has its turn. It stays alone for as long as nobody comes.
   */
  alone<T>(lone: Lone<T>, patienceMs?: number): Promise<T>
}

export interface Lone<T> {
  /** `isShared`: others had not left in time. */
  run(isShared: boolean): Promise<T>
  /** It takes its time, and somebody waits: when this has ended, others are let in. */
  share(): Promise<void>
}

export function createApart(ownPatienceMs = usualPatienceMs): Apart {
  let running = 0
  /** Of those that are alone or will be, in their order: each resolves when its time apart is over. Others are let in when there is none. */
  const lone: Promise<void>[] = []
  let onEmpty: (() => void) | undefined
  let waiting = 0
  /** Set when the patience with the one that is alone is over, and nobody waits. */
  let onWaiting: (() => void) | undefined

  function leave(): void {
    running -= 1
    if (running === 0) onEmpty?.()
  }

  async function untilEmpty(patienceMs: number): Promise<boolean> {
    if (running === 0) return true
    const { promise, resolve } = Promise.withResolvers<void>()
    onEmpty = resolve
    const timer = setTimeout(resolve, patienceMs)
    await promise
    clearTimeout(timer)
    onEmpty = undefined
    return running === 0
  }

  async function waitFor(opened: Promise<void>): Promise<void> {
    waiting += 1
    onWaiting?.()
    await opened
    waiting -= 1
  }

  async function runAlone<T>({ run, share }: Lone<T>, patienceMs: number, open: () => void): Promise<T> {
    const isShared = !(await untilEmpty(patienceMs))
    running += 1
    if (isShared) open()
    let timer: NodeJS.Timeout | undefined
    const letIn = () => {
      onWaiting = undefined
      void share()
        .catch(() => {})
        .finally(open)
    }
    if (!isShared)
      timer = setTimeout(() => {
        if (waiting > 0) letIn()
        else onWaiting = letIn
      }, patienceMs)
    try {
      return await run(isShared)
    } finally {
      clearTimeout(timer)
      if (onWaiting === letIn) onWaiting = undefined
      leave()
      open()
    }
  }

  /** The next one that is to be alone goes before whoever waited for the last one. */
  async function enterLater(): Promise<void> {
    for (let [first] = lone; first; [first] = lone) await waitFor(first)
    running += 1
  }

  return {
    enter() {
      if (lone.length > 0) return enterLater()
      running += 1
      return undefined
    },
    leave,
    async alone(one, patienceMs = ownPatienceMs) {
      const { promise: opened, resolve } = Promise.withResolvers<void>()
      const before = lone.at(-1)
      lone.push(opened)
      if (before) await waitFor(before)
      return runAlone(one, patienceMs, () => {
        if (lone[0] === opened) lone.shift()
        resolve()
      })
    },
  }
}

/** Of this process. */
export const apart: Apart = createApart()
