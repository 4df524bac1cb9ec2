// The reference services by name, and what makes them busy in a demo; each is loaded when it is asked for.

export const services = {
  commerce: async () => (await import('./commerce/service.ts')).commerce,
  icons: async () => (await import('./icons/service.ts')).icons,
  platform: async () => (await import('./platform/service.ts')).platform,
  validation: async () => (await import('./validation/service.ts')).validation,
} as const

export type ServiceName = keyof typeof services

/** Writers of the application that a service watches. */
export const traffic = {
  icons: async () => (await import('./icons/traffic.ts')).createTraffic,
} as const satisfies { readonly [Name in ServiceName]?: unknown }
