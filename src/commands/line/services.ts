import type { Config } from '../../config/config.ts'
import { EvtError } from '../../core/errors.ts'
import { createRegistry, type Registry } from '../../core/registry.ts'
import { suggestion } from '../../core/suggest.ts'
import type { ServiceDefinition } from '../../handle/define-service.ts'
import { services } from '../../services/registry.ts'
import type { Runtime } from '../runtime.ts'

/**
 * The configured services: reference services by name, and the project's own. What the configuration says about attempts
 * and time limits holds for handlers that say nothing themselves. Throws EvtError('config') for an unknown name.
 */
export async function loadServices({ config }: Pick<Runtime, 'config'>): Promise<readonly ServiceDefinition[]> {
  const { value, origin } = config.get('services')
  const found = await Promise.all(
    value.map((one) => (typeof one === 'string' ? byName(one, origin) : (one as ServiceDefinition))),
  )
  const isOff = !config.get('sagas').value
  return found.map((service) => withDefaults(isOff ? { ...service, sagas: [] } : service, config))
}

/** Contracts of the configured services. */
export async function loadRegistry(runtime: Pick<Runtime, 'config'>): Promise<Registry> {
  return createRegistry((await loadServices(runtime)).flatMap(({ contracts }) => contracts))
}

async function byName(name: string, origin: string): Promise<ServiceDefinition> {
  if (Object.hasOwn(services, name)) return services[name as keyof typeof services]()
  const known = Object.keys(services)
  throw new EvtError('config', `cannot use service ${name} (${origin}): evt brings none of that name`, {
    hint: suggestion(name, known) ?? `it brings ${known.join(', ')}; services of your own stand in evt.config.ts`,
  })
}

function withDefaults(service: ServiceDefinition, config: Config): ServiceDefinition {
  const [attempts, timeout] = [config.get('retryAttempts'), config.get('timeoutMs')]
  if (attempts.origin === 'default' && timeout.origin === 'default') return service
  const handlers = service.handlers.map((handler) => ({
    ...handler,
    retry: { attempts: attempts.value, ...handler.retry },
    timeout: handler.timeout ?? `${timeout.value}ms`,
  }))
  return { ...service, handlers }
}
