import { hash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { isReply } from './errors.ts'
import { sendTogether } from './send-together.ts'

/** Lua that runs in one slot. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/**
 * `body` behind `#!lua`: Redis then refuses it as a whole, before its first command, where it may not write (OOM, READONLY, MISCONF).
 * Once begun it runs to its end, over maxmemory too. So a script is written or it is not.
 */
export function createScript(body: string): Script {
  const source = `#!lua\n${body.trim()}\n`
  return { source, sha: hash('sha1', source, 'hex') }
}

type Arg = string | number | Buffer

const bigBytes = 4096
const isBig = (arg: Arg) => typeof arg !== 'number' && arg.length > bigBytes

/** By its sha; with its source where the server does not know it (any more). Throws what the driver throws. */
export async function runScript(
  client: Redis | Cluster,
  { sha, source }: Script,
  keys: readonly string[],
  args: readonly Arg[],
): Promise<unknown> {
  if (!args.some(isBig)) sendTogether(client)
  try {
    return await client.evalsha(sha, keys.length, ...keys, ...args)
  } catch (error) {
    if (!isReply(error, 'NOSCRIPT')) throw error
    return client.eval(source, keys.length, ...keys, ...args)
  }
}
