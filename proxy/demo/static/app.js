'use strict';

const $ = (id) => document.getElementById(id);
const post = (path, body) => fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});

/** One person's connection: notifications by token, the chat through Centrifugo's subscribe hook. */
class RealtimeService {
  constructor(port, transport) {
    const http = `http://${location.hostname}:${port}`;
    const base = transport === 'websocket' ? http.replace('http', 'ws') : http;
    this.client = new Centrifuge([{transport, endpoint: `${base}/connection/${transport}`}], {
      emulationEndpoint: `${http}/emulation`,
      getToken: () => this.token('/api/centrifugo/connection-token'),
    });
  }

  async token(path, body) {
    const response = await fetch(path, {method: 'POST', body: body && JSON.stringify(body)});
    return (await response.json()).token;
  }

  notifications(user) {
    const channel = `notifications#${user}`;
    return this.client.newSubscription(channel, {getToken: () => this.token('/api/centrifugo/subscription-token', {channel})});
  }

  document(id) {
    return this.client.newSubscription(`chat:doc-${id}`);
  }
}

/** The page: shows what the service hears, does what the buttons say. */
class Page {
  constructor(settings) {
    this.people = new Map(settings.people.map((person) => [person.id, person]));
    this.document = settings.document;
    this.port = settings.centrifugo;
    this.user = null;
  }

  start(settings) {
    for (const person of this.people.values()) {
      const choose = button(person.name, () => this.choose(person));
      choose.dataset.user = person.id;
      choose.append(element('small', person.part));
      const item = element('li');
      item.append(choose);
      $('people').querySelector('ul').append(item);
      $('orders').append(button(person.name, () => this.ship(person)));
    }
    const ben = this.people.get(settings.changed);
    for (const change of settings.changes) {
      $('changes').append(button(`${change[0].toUpperCase()}${change.slice(1)} ${ben.name}`, () => this.change(change, ben)));
    }
    $('composer').addEventListener('submit', (event) => { event.preventDefault(); this.send(); });
    $('transport').addEventListener('change', () => this.enter());
    $('overhear').addEventListener('click', () => this.overhear());
    $('impersonate').addEventListener('click', () => this.publish({type: 'message', text: 'I quit', author: this.other().id}));
    addEventListener('hashchange', () => this.enter());
    this.enter();
  }

  choose(person) {
    if (location.hash === `#${person.id}`) this.enter();
    else location.hash = person.id;
  }

  /** Sign in as the person that the address names, and connect. */
  async enter() {
    const person = this.people.get(location.hash.slice(1));
    this.leave();
    if (!person) return;
    this.user = person;
    for (const choice of document.querySelectorAll('[data-user]')) choice.setAttribute('aria-pressed', choice.dataset.user === person.id);
    $('second').href = elsewhere(this.other().id);
    $('more').hidden = false;
    $('second').textContent = `Open a second window as ${this.other().name}`;
    $('chat-title').textContent = this.document.title;
    await post('/demo/login', {user: person.id});
    if (this.user === person) this.connect();
  }

  leave() {
    this.service?.client.disconnect();
    this.service = this.user = null;
    this.enable(false);
    $('log').replaceChildren();
    $('present').replaceChildren();
  }

  connect() {
    const service = this.service = new RealtimeService(this.port, $('transport').value);
    for (const state of ['connecting', 'connected', 'disconnected']) {
      service.client.on(state, (context) => this.status(state, context));
    }
    const notifications = service.notifications(this.user.id);
    notifications.on('publication', (context) => toast(context.data.message));
    const chat = this.chat = service.document(this.document.id);
    chat.on('publication', (context) => this.message(context.data));
    chat.on('join', (context) => this.event(`${name(context.info)} joined`));
    chat.on('leave', (context) => this.event(`${name(context.info)} left`));
    chat.on('subscribed', (context) => this.opened(context));
    chat.on('unsubscribed', (context) => this.closed(context));
    notifications.subscribe();
    chat.subscribe();
    service.client.connect();
  }

  status(state, context) {
    $('status').dataset.state = state;
    $('status').textContent = state === 'connected' ? `connected as ${this.user.name}` : `${state}${context.reason ? `: ${context.reason}` : ''}`;
  }

  async opened(context) {
    const chat = this.chat;
    this.enable(true);
    if (!context.recovered) {
      const past = await chat.history({limit: 50}).catch(() => ({publications: []}));
      if (chat !== this.chat) return;
      $('log').replaceChildren();
      past.publications.forEach((publication) => this.message(publication.data));
    }
    this.presence();
  }

  closed(context) {
    this.enable(false);
    if (context.code !== 0) this.event(`You may not read this chat (${context.code}, ${context.reason}). Choose your name to ask again.`);
  }

  enable(on) {
    for (const control of [$('text'), $('composer').querySelector('button')]) control.disabled = !on;
    for (const control of [$('overhear'), $('impersonate')]) control.disabled = !this.service;
  }

  message(data) {
    const item = element('li', data.text);
    item.className = data.author === this.user?.id ? 'mine' : '';
    item.prepend(element('small', `${this.people.get(data.author)?.name ?? data.author}, ${new Date(data.at).toLocaleTimeString()}`));
    this.show(item);
  }

  event(text) {
    const item = element('li', text);
    item.className = 'event';
    this.show(item);
    this.presence();
  }

  show(item) {
    $('log').append(item);
    item.scrollIntoView({block: 'nearest'});
  }

  /** List who is here: each once, however many windows they have open. */
  async presence() {
    const chat = this.chat;
    if (chat?.state !== 'subscribed') return;
    const present = await chat.presence().catch(() => null);
    if (!present || chat !== this.chat) return;
    const each = new Map(Object.values(present.clients).map((info) => [info.user, info]));
    $('present').replaceChildren(...[...each.values()].map((info) => {
      const item = element('li', name(info));
      item.append(element('small', info.chanInfo?.role ?? ''));
      return item;
    }));
  }

  async send() {
    const text = $('text').value.trim();
    if (text && await this.publish({type: 'message', text})) $('text').value = '';
  }

  async publish(data) {
    try {
      await this.service.client.publish(`chat:doc-${this.document.id}`, data);
      return true;
    } catch (error) {
      toast(`Refused: ${error.code}, ${error.message}`, true);
      return false;
    }
  }

  async ship(person) {
    const response = await post('/demo/order', {user: person.id});
    if (!response.ok) toast('The order system could not tell anybody.', true);
  }

  /** Change the data of the application, as its administrator would; it tells the service. */
  async change(change, person) {
    const response = await post(`/demo/${change}`, {user: person.id});
    if (!response.ok) toast('The application could not tell anybody.', true);
  }

  overhear() {
    const other = this.other();
    const attempt = this.service.notifications(other.id);
    attempt.on('unsubscribed', (context) => {
      toast(`${other.name}'s notifications are refused: ${context.code}, ${context.reason}`, true);
      this.service.client.removeSubscription(attempt);
    });
    attempt.subscribe();
  }

  other() {
    const [first, second] = this.people.values();
    return this.user === first ? second : first;
  }
}

/** The address of a second window: another host name for the same server, for browsers keep the cookies of each apart. */
function elsewhere(user) {
  const host = location.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  return `http://${host}:${location.port}/demo#${user}`;
}

function name(info) {
  return info.connInfo?.name ?? info.user;
}

function element(tag, text = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function button(text, act) {
  const made = element('button', text);
  made.addEventListener('click', act);
  return made;
}

function toast(text, refused = false) {
  const made = element('p', text);
  made.className = refused ? 'refused' : '';
  $('toasts').append(made);
  setTimeout(() => made.remove(), 6000);
}

fetch('/demo/settings').then((response) => response.json()).then((settings) => new Page(settings).start(settings));
