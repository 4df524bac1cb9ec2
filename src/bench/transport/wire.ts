import { checksumOf } from '../../core/checksum.ts'
import { toHeaders } from '../../core/codec.ts'
import type { Message } from '../../transports/transport.ts'
import { idOf, type ScratchNames } from '../bridge/names.ts'
import type { Outgoing } from '../target.ts'

/** Event k as it travels; nothing of its data is parsed. */
export function messageOf({ k, subject, dataText }: Outgoing, names: ScratchNames, time: string): Message {
  const key = `${names.tenant}/${subject}`
  const id = idOf(names.run, k)
  const headers = toHeaders({
    id,
    type: names.type,
    version: 1,
    source: 'evt-bench',
    time,
    subject: key,
    tenant: names.tenant,
    priority: 'normal',
    metadata: {},
    checksum: checksumOf(dataText),
  })
  return { id, key, headers, body: Buffer.from(dataText) }
}

/** A transport that lives in the main thread, as the generator's thread reaches it. */
export type ToMain = { readonly n: number; readonly topic: string; readonly batch: readonly Message[] }
export type FromMain = { readonly n: number; readonly results: readonly Answer[] }
export interface Answer {
  readonly state: 'stored' | 'duplicate' | 'refused' | 'unknown'
  readonly reason?: string
}
