import { formatDuration } from '../core/duration.ts'
import type { Config } from './config.ts'

/** What the configuration says about all handlers of a process together, as options. */
export interface HandlingOptions {
  readonly maxConcurrentHandlers: number | undefined
  readonly watchdog: string | undefined
  readonly checkInterval: string
}

/** What it says about each handler, where it says something: `most` for all, the rest for those that say nothing themselves. */
export function handlerDefaultsOf(config: Config) {
  const [attempts, timeout] = [config.get('retryAttempts'), config.get('timeoutMs')]
  return {
    attempts: attempts.origin === 'default' ? undefined : attempts.value,
    timeout: timeout.origin === 'default' ? undefined : `${timeout.value}ms`,
    most: config.get('batchSize').value,
  }
}

export function handlingOf(config: Config): HandlingOptions {
  const watchdogMs = config.get('watchdogMs').value
  return {
    maxConcurrentHandlers: config.get('maxConcurrentHandlers').value,
    watchdog: watchdogMs === undefined ? undefined : formatDuration(watchdogMs),
    checkInterval: formatDuration(config.get('checkIntervalMs').value),
  }
}
