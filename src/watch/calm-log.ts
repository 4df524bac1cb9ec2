import type { HandlerLog } from '../handle/handler.ts'

/** A trouble that lasts is told again after so long, with how often it was seen. */
const againMs = 60_000
/** Lines of which each names another event are never repeated: they must not fill the memory. */
const mostLines = 1_000

/**
 * Says each warning and error once a minute: what is tried every second fails every second, and a thousand equal lines hide the one
 * that differs. Lines with other fields are other lines.
 */
export function createCalmLog(log: HandlerLog, nowMs: () => number = () => performance.now()): HandlerLog {
  const said = new Map<string, { readonly atMs: number; unsaid: number }>()
  const calm = (level: 'warn' | 'error') => (message: string, fields?: object) => {
    const key = `${level} ${message} ${Object.values(fields ?? {}).join(' ')}`
    const before = said.get(key)
    if (before && nowMs() - before.atMs < againMs) {
      before.unsaid += 1
      return
    }
    if (said.size >= mostLines) said.clear()
    said.set(key, { atMs: nowMs(), unsaid: 0 })
    if (before && before.unsaid > 0) log[level](message, { ...fields, seen: before.unsaid + 1 })
    else log[level](message, fields)
  }
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: calm('warn'),
    error: calm('error'),
  }
}
