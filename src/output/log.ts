import { visible } from '../core/visible.ts'
import type { Paint } from './paint.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
type Write = (message: string, fields?: object) => void

/** What bridges and handlers log to. */
export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}

export interface LogOptions {
  readonly level: LogLevel
  readonly stderr: { readonly isTTY?: boolean; write(text: string): unknown }
  readonly paint: Paint
  readonly now: () => number
}

const levels = ['debug', 'info', 'warn', 'error'] as const
const styles = { debug: 'dim', info: 'cyan', warn: 'yellow', error: 'red' } as const

/** One line a message on stderr: for a person on a terminal, as JSON (pino's shape) for whatever collects logs. */
export async function createLog({ level, stderr, paint, now }: LogOptions): Promise<Log> {
  if (!stderr.isTTY) return (await import('./json-log.ts')).createJsonLog(level, (text) => void stderr.write(text))
  const least = level === 'silent' ? levels.length : levels.indexOf(level)
  const writer =
    (name: (typeof levels)[number]): Write =>
    (message, fields = {}) => {
      if (levels.indexOf(name) < least) return
      const time = new Date(now()).toISOString().slice(11, 23)
      const facts = Object.entries(fields).map(
        ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      )
      stderr.write(
        `${paint('dim', time)} ${paint(styles[name], name.padEnd(5))} ${visible(message)}${paint('dim', visible(facts.join('')))}\n`,
      )
    }
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') }
}
