import { EvtError } from '../../core/errors.ts'
import type { LogAppender } from '../transport.ts'
import type { RedisContext } from './context.ts'

export async function openAppender(_context: RedisContext, topic: string, _epoch: bigint): Promise<LogAppender> {
  throw new EvtError('unsupported', `cannot append to ${topic} yet`)
}
