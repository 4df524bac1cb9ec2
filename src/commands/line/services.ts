import type { Config } from '../../config/config.ts'
import { handlerDefaultsOf } from '../../config/handling.ts'
import type { Services } from '../../config/services.ts'
import type { Sourced } from '../../config/sourced.ts'
import { EvtError } from '../../core/errors.ts'
import { contractsOfServices, createRegistry, type Registry } from '../../core/registry.ts'
import { suggestion } from '../../core/suggest.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import { resolveHandler } from '../../handle/handler-config.ts'
import { assertServices } from '../../handle/service-shape.ts'
import { withDefaults } from '../../handle/with-defaults.ts'
import { encryption, services } from '../../services/registry.ts'
import type { Runtime } from '../runtime.ts'

/** The services of `evt demo`, whatever is configured. */
export const loadDemoServices = ({ config }: Pick<Runtime, 'config'>) => loaded(config, demo)

/** The configured services, of which there may be none: what `evt up` runs. */
export const loadOwnServices = async ({ config }: Pick<Runtime, 'config'>) =>
  withKeys(config, await loaded(config, config.get('services')))

/** The configured services; without any, those of the demo, beside which commands need no configuration. */
export const loadServices = async (runtime: Pick<Runtime, 'config'>): Promise<readonly ServiceDefinition[]> => {
  const own = await loadOwnServices(runtime)
  return own.length > 0 ? own : withKeys(runtime.config, await loadDemoServices(runtime))
}

const demo: Sourced<Services> = { value: Object.keys(services) as Services, origin: 'demo' }

/**
 * What the configuration says about attempts and time limits holds for handlers that say nothing themselves, of batches for all.
 * Throws EvtError('config') for an unknown name.
 */
async function loaded(config: Config, { value, origin }: Sourced<Services>): Promise<readonly ServiceDefinition[]> {
  const found = await Promise.all(
    value.map((one) => (typeof one === 'string' ? byName(one, origin) : (one as ServiceDefinition))),
  )
  checkServices(found, origin)
  const isOff = !config.get('sagas').value
  const defaults = handlerDefaultsOf(config)
  if (!isOff && Object.values(defaults).every((one) => one === undefined)) return found
  return found.map((service) => ({
    ...service,
    handlers: service.handlers.map((handler) => withDefaults(handler, defaults)),
    ...(isOff ? { sagas: [] } : {}),
  }))
}

/** evt's own services encrypt what is personal where there are keys for it. The store of a demo is gone afterwards, and has none. */
async function withKeys(config: Config, found: readonly ServiceDefinition[]): Promise<readonly ServiceDefinition[]> {
  const hasKeys =
    config.get('masterKey').value !== undefined || config.get('privacy').value?.masterKeyFile !== undefined
  return hasKeys ? found.map(await encryption()) : found
}

/** Before anything connects. Throws EvtError('config') that names the file too. */
function checkServices(found: readonly ServiceDefinition[], origin: string): void {
  try {
    assertServices(found)
    for (const { handlers } of found) for (const handler of handlers) resolveHandler(handler)
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    const reason = error.message.replace(/^cannot use /, '')
    throw new EvtError('config', `cannot use ${origin}: ${reason}`, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }
}

/** Contracts of the configured services, or of the demo's. */
export async function loadRegistry(runtime: Pick<Runtime, 'config'>): Promise<Registry> {
  return createRegistry(contractsOfServices(await loadServices(runtime)))
}

async function byName(name: string, origin: string): Promise<ServiceDefinition> {
  if (Object.hasOwn(services, name)) return services[name as keyof typeof services]()
  const known = Object.keys(services)
  throw new EvtError('config', `cannot use service ${name} (${origin}): evt brings none of that name`, {
    hint: suggestion(name, known) ?? `it brings ${known.join(', ')}; services of your own stand in evt.config.ts`,
  })
}
