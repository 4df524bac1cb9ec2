import { formatDuration } from '../core/duration.ts'
import type { Config } from './config.ts'

/** What the configuration says about all handlers of a process together, as options. */
export interface HandlingOptions {
  readonly maxConcurrentHandlers: number | undefined
  readonly watchdog: string | undefined
  readonly checkInterval: string
}

export function handlingOf(config: Config): HandlingOptions {
  const watchdogMs = config.get('watchdogMs').value
  return {
    maxConcurrentHandlers: config.get('maxConcurrentHandlers').value,
    watchdog: watchdogMs === undefined ? undefined : formatDuration(watchdogMs),
    checkInterval: formatDuration(config.get('checkIntervalMs').value),
  }
}
