import { parseDialect } from '../../core/codec/encode-as.ts'
import type { DialectName } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { flag, text, value } from '../command.ts'
import { count } from '../line/options.ts'
import { isStoreUrl, urlNamed } from '../line/target.ts'
import type { Runtime } from '../runtime.ts'
import type { PublishInput } from './ask.ts'
import type { EventSource } from './source.ts'
import { publishToStore } from './to-store.ts'
import { publishToTransport } from './to-transport.ts'

/** Where the events go, when not to the store. */
export const targetOptions = {
  target: value({
    short: 't',
    value: 'url',
    says: 'where to, when not to the store: redis://…?stream=x, kafka://…/x, amqp://…?queue=x, or a name of the configuration',
    parse: text,
  }),
  dialect: value({
    value: 'name',
    says: 'shape of the bytes: cloudevents-structured, icons, event-bus, registry, …',
    parse: parseDialect,
    shownDefault: 'cloudevents',
  }),
  create: flag({ says: 'make the topic of --target when it does not exist' }),
  lanes: value({ value: 'count', says: 'with so many lanes; implies --create', parse: count, shownDefault: '16' }),
} as const

interface TargetInput extends PublishInput {
  readonly options: PublishInput['options'] & {
    readonly target?: string | undefined
    readonly dialect?: DialectName | undefined
    readonly create: boolean
    readonly lanes?: number | undefined
  }
}

/** To the store, or to the topic of a broker; says what became of every event. */
export async function publishEvents(
  runtime: Runtime,
  source: EventSource,
  input: TargetInput,
): Promise<Outcome | undefined> {
  const { target: given, dialect, create, lanes } = input.options
  const target = given === undefined ? undefined : await urlNamed(given, runtime)
  if (target !== undefined && !isStoreUrl(target)) {
    if (/^postgres(ql)?:/i.test(target))
      throw new EvtError('usage', 'cannot publish to a NOTIFY channel or a table: evt only reads them', {
        hint: 'name the store without ?channel= and ?table=',
      })
    const topic = { create: create || lanes !== undefined, lanes }
    return publishToTransport(runtime, source, { ...input, url: target, dialect: dialect ?? 'cloudevents', topic })
  }
  const unfit = create ? '--create' : lanes !== undefined ? '--lanes' : dialect !== undefined ? '--dialect' : undefined
  if (unfit) throw new EvtError('usage', `cannot use ${unfit} with the store: it is for a --target that is a broker`)
  return publishToStore(runtime, source, { ...input, ...(target ? { url: target } : {}) })
}
