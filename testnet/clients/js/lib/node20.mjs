// libp2p 3 uses this function of Node 22; Node 20 does not have it. Import before libp2p.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((...both) => { [resolve, reject] = both })
  return { promise, resolve, reject }
}
