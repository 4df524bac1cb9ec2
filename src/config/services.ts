/** The part of a service definition that configuration looks at; the bridge knows the whole. */
export interface Service {
  readonly name: string
}
