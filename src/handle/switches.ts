import type { Store } from '../store/connection.ts'

const pollMs = 1000

/** Follows the switches that operators set for all processes; says which handlers are paused, at first and at changes. */
export function followSwitches(
  store: Store,
  {
    onChange,
    onError,
  }: { readonly onChange: (paused: ReadonlySet<string>) => void; readonly onError: (error: unknown) => void },
): { stop(): void } {
  let known = ''
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    const { rows } = await store.query('select handler from evt.handler_switches where paused order by handler')
    const paused = rows.map((row) => String(row.handler))
    if (stopped || paused.join('\n') === known) return
    known = paused.join('\n')
    onChange(new Set(paused))
  }
  function loop(): void {
    look()
      .catch(onError)
      .finally(() => {
        if (!stopped) timer = setTimeout(loop, pollMs)
      })
  }
  loop()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
