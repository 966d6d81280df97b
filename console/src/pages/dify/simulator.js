// Runs in the frame of the Dify test page: what it is told to say, it says to the page, as a chat in
// a frame would.
addEventListener('message', (message) => {
  if (message.source !== parent || message.origin !== location.origin) {
    return;
  }
  for (const one of message.data.say ?? []) {
    parent.postMessage(one, location.origin);
  }
});
parent.postMessage({ type: 'dify-chatbot-iframe-ready' }, location.origin);
