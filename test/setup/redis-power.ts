import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { PrivateRedis } from './private-redis.ts'
import { until } from './until.ts'

/** Of the append-only file, in bytes. */
export interface PowerLoss {
  readonly lost: number
  readonly of: number
}

/**
 * The server is killed, the last `lose` bytes of its append-only file are gone, and it starts again with what is left: what a crash of
 * the machine does to what was not on the disk yet.
 */
export async function losePower(redis: PrivateRedis, lose: (size: number) => number): Promise<PowerLoss> {
  await redis.kill('SIGKILL')
  const file = lastAppendOnlyFile(redis)
  const { size } = statSync(file)
  const lost = Math.floor(lose(size))
  truncateSync(file, size - lost)
  await redis.restart()
  return { lost, of: size }
}

/** `appendonly.aof.<n>.incr.aof` with the highest n: where what was written last is. */
function lastAppendOnlyFile({ directory }: PrivateRedis): string {
  const place = join(directory, 'data', 'appendonlydir')
  const numberOf = (name: string) => Number(/\.(\d+)\.incr\.aof$/.exec(name)?.[1] ?? 0)
  const last = readdirSync(place).toSorted((a, b) => numberOf(b) - numberOf(a))[0]
  return join(place, last ?? '')
}

/**
 * Forgets what a cut left behind: Redis 7.0 takes a transaction without its end for not done, and keeps it in the file, where the next
 * start finds it before what was written since, and does it after all.
 */
export async function rewriteAppendOnlyFile(redis: PrivateRedis): Promise<void> {
  const facts = async () => String(await redis.command('info', 'persistence'))
  await redis.command('bgrewriteaof')
  await until(async () => /aof_rewrite_in_progress:0[\s\S]*aof_rewrite_scheduled:0/.test(await facts()), {
    withinMs: 20_000,
    what: 'a rewritten append-only file',
  })
}
