// Runs in the frame of the Dify test page: what it is told to say, it says to the page, as a chat in
// a frame would. Its address is about:srcdoc, so its origin is not that of its location.
addEventListener('message', (message) => {
  if (message.source !== parent || message.origin !== self.origin) {
    return;
  }
  for (const one of message.data.say ?? []) {
    parent.postMessage(one, self.origin);
  }
});
parent.postMessage({ type: 'dify-chatbot-iframe-ready' }, self.origin);
