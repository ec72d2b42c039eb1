// Stands in for https://js.stripe.com/v3/, which tests cannot reach: the calls that the payment page
// makes, with an input in place of Stripe's frame. It proves nothing about Stripe's own script.
window.Stripe = (key, { locale }) => {
  window.stripeCalls = [{ key, locale }];
  let input;
  return {
    elements(options) {
      window.stripeCalls.push(options);
      return {
        create(type) {
          const handlers = {};
          return {
            on: (event, handler) => (handlers[event] = handler),
            mount(box) {
              const label = document.createElement("label");
              input = document.createElement("input");
              label.append(`Card (${type})`, input);
              box.append(label);
              handlers.ready();
            },
          };
        },
        submit: async () => (input.value ? {} : { error: { message: "Your card's number is incomplete." } }),
      };
    },
    // The lab's provider is the sandbox, which knows methods by these names.
    createPaymentMethod: async () => ({ paymentMethod: { id: input.value } }),
  };
};
