import type { HandlerLog } from './handler.ts'

/** Handlers of one start move within so much. */
const gatherMs = 300

export interface Move {
  readonly from?: string
  readonly to?: string
  readonly position?: bigint
  readonly events?: bigint
}

/** One line for all handlers that do the same at the same time: their least position, the most events. */
export function createMoveLog(log: Pick<HandlerLog, 'info'>): {
  say(message: string, handler: string, move: Move): void
  flush(): void
} {
  const gathered = new Map<
    string,
    { readonly message: string; readonly moves: (Move & { readonly handler: string })[] }
  >()
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    for (const { message, moves } of gathered.values()) {
      const [{ from, to } = {}] = moves
      const positions = moves.flatMap(({ position }) => (position === undefined ? [] : [position]))
      const events = moves.flatMap((move) => (move.events === undefined ? [] : [move.events]))
      log.info(message, {
        handlers: moves.map(({ handler }) => handler).join(', '),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(positions.length === 0 ? {} : { position: String(positions.reduce((a, b) => (a < b ? a : b))) }),
        ...(events.length === 0 ? {} : { events: String(events.reduce((a, b) => (a > b ? a : b))) }),
      })
    }
    gathered.clear()
  }

  return {
    say(message, handler, move) {
      const key = [message, move.from, move.to].join('\n')
      const found = gathered.get(key) ?? { message, moves: [] }
      found.moves.push({ handler, ...move })
      gathered.set(key, found)
      timer ??= setTimeout(flush, gatherMs)
    },
    flush,
  }
}
