import { collectDefaultMetrics, Registry } from 'prom-client'
import type { MetricFamily } from './family.ts'

let registry: Registry | undefined

/** CPU, memory, event loop and garbage collection of this process. They are the process's: however many bridges it has, they are watched once. */
export async function processFamilies(): Promise<readonly MetricFamily[]> {
  if (!registry) {
    registry = new Registry()
    collectDefaultMetrics({ register: registry })
  }
  // Its types call `type` a number and leave out `values`.
  return (await registry.getMetricsAsJSON()) as unknown as readonly MetricFamily[]
}
