import { openListener } from '../store/listener.ts'

/** One sleeper that notifications, reconnects and `stir` wake. A call that comes while it is awake is not lost. */
export interface Wake {
  /** Notifications arrive. */
  readonly hears: boolean
  /** Returns after this time, or at once when something happened since the last sleep. */
  sleep(ms: number): Promise<'stirred' | 'slept'>
  stir(): void
  close(): Promise<void>
}

export function openWake(connectionString: string): Wake {
  let pending = false
  let sleeper: (() => void) | undefined
  const stir = (): void => {
    pending = true
    sleeper?.()
  }
  const listener = openListener(connectionString, {
    channels: ['evt_wake', 'evt_lead'],
    applicationName: 'evt relay listener',
    onNotification: stir,
    onListening: stir,
  })
  return {
    get hears() {
      return listener.listening
    },
    async sleep(ms) {
      if (!pending) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms)
          sleeper = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        sleeper = undefined
      }
      const stirred = pending
      pending = false
      return stirred ? 'stirred' : 'slept'
    },
    stir,
    close: () => listener.close(),
  }
}
