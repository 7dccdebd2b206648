
√F
	api.protocentrifugal.centrifugo.api"k
BatchRequest?
commands (2#.centrifugal.centrifugo.api.CommandRcommands
parallel (Rparallel"L
BatchResponse;
replies (2!.centrifugal.centrifugo.api.ReplyRreplies"ˇ

Command=
publish (2#.centrifugal.centrifugo.api.PublishRpublishC
	broadcast (2%.centrifugal.centrifugo.api.BroadcastR	broadcastC
	subscribe (2%.centrifugal.centrifugo.api.SubscribeR	subscribeI
unsubscribe (2'.centrifugal.centrifugo.api.UnsubscribeRunsubscribeF

disconnect (2&.centrifugal.centrifugo.api.DisconnectR
disconnect?
presence	 (2#.centrifugal.centrifugo.api.ChannelRpresenceJ
presence_stats
 (2#.centrifugal.centrifugo.api.ChannelRpresenceStats=
history (2#.centrifugal.centrifugo.api.HistoryRhistoryJ
history_remove (2#.centrifugal.centrifugo.api.ChannelRhistoryRemove7
info (2#.centrifugal.centrifugo.api.NothingRinfo1
rpc (2.centrifugal.centrifugo.api.RpcRrpc=
refresh (2#.centrifugal.centrifugo.api.RefreshRrefresh@
channels (2$.centrifugal.centrifugo.api.ChannelsRchannelsG
map_publish$ (2&.centrifugal.centrifugo.api.MapPublishR
mapPublishD

map_remove% (2%.centrifugal.centrifugo.api.MapRemoveR	mapRemoveN
map_read_state& (2(.centrifugal.centrifugo.api.MapReadStateRmapReadStateQ
map_read_stream' (2).centrifugal.centrifugo.api.MapReadStreamRmapReadStream@
	map_stats( (2#.centrifugal.centrifugo.api.ChannelRmapStats@
	map_clear) (2#.centrifugal.centrifugo.api.ChannelRmapClear]
shared_poll_publish* (2-.centrifugal.centrifugo.api.SharedPollPublishRsharedPollPublish"ú
Reply7
error (2!.centrifugal.centrifugo.api.ErrorRerror>
publish (2$.centrifugal.centrifugo.api.PositionRpublishC
	broadcast (2%.centrifugal.centrifugo.api.ResponsesR	broadcastA
	subscribe (2#.centrifugal.centrifugo.api.NothingR	subscribeE
unsubscribe (2#.centrifugal.centrifugo.api.NothingRunsubscribeC

disconnect (2#.centrifugal.centrifugo.api.NothingR
disconnect?
presence	 (2#.centrifugal.centrifugo.api.ClientsRpresenceI
presence_stats
 (2".centrifugal.centrifugo.api.CountsRpresenceStatsB
history (2(.centrifugal.centrifugo.api.PublicationsRhistoryJ
history_remove (2#.centrifugal.centrifugo.api.NothingRhistoryRemove5
info (2!.centrifugal.centrifugo.api.NodesRinfo2
rpc (2 .centrifugal.centrifugo.api.DataRrpc=
refresh (2#.centrifugal.centrifugo.api.NothingRrefresh=
channels (2!.centrifugal.centrifugo.api.NamesRchannelsH
map_publish$ (2'.centrifugal.centrifugo.api.MapPositionR
mapPublishF

map_remove% (2'.centrifugal.centrifugo.api.MapPositionR	mapRemoveJ
map_read_state& (2$.centrifugal.centrifugo.api.MapStateRmapReadStateM
map_read_stream' (2%.centrifugal.centrifugo.api.MapStreamRmapReadStream=
	map_stats( (2 .centrifugal.centrifugo.api.KeysRmapStats@
	map_clear) (2#.centrifugal.centrifugo.api.NothingRmapClearS
shared_poll_publish* (2#.centrifugal.centrifugo.api.NothingRsharedPollPublish"5
Error
code (Rcode
message (	Rmessage"	
Nothing"#
Channel
channel (	Rchannel"8
Position
offset (Roffset
epoch (	Repoch"‘
Publish
channel (	Rchannel
data (Rdata!
skip_history (RskipHistoryA
tags (2-.centrifugal.centrifugo.api.Publish.TagsEntryRtags'
idempotency_key (	RidempotencyKey
delta (Rdelta
version (Rversion#
version_epoch	 (	RversionEpoch7
	TagsEntry
key (	Rkey
value (	Rvalue:8"⁄
	Broadcast
channels (	Rchannels
data (Rdata!
skip_history (RskipHistoryC
tags (2/.centrifugal.centrifugo.api.Broadcast.TagsEntryRtags'
idempotency_key (	RidempotencyKey
delta (Rdelta
version (Rversion#
version_epoch	 (	RversionEpoch7
	TagsEntry
key (	Rkey
value (	Rvalue:8"Å
Response7
error (2!.centrifugal.centrifugo.api.ErrorRerror<
result (2$.centrifugal.centrifugo.api.PositionRresult"O
	ResponsesB
	responses (2$.centrifugal.centrifugo.api.ResponseR	responses"
Flag
value (Rvalue"ˆ
Override<
presence (2 .centrifugal.centrifugo.api.FlagRpresence?

join_leave (2 .centrifugal.centrifugo.api.FlagR	joinLeaveG
force_recovery (2 .centrifugal.centrifugo.api.FlagRforceRecoveryM
force_positioning (2 .centrifugal.centrifugo.api.FlagRforcePositioningS
force_push_join_leave (2 .centrifugal.centrifugo.api.FlagRforcePushJoinLeave"Ω
	Subscribe
channel (	Rchannel
user (	Ruser
	expire_at (RexpireAt
info (Rinfo
client (	Rclient
data (RdataI
recover_since	 (2$.centrifugal.centrifugo.api.PositionRrecoverSince@
override
 (2$.centrifugal.centrifugo.api.OverrideRoverride
session (	Rsession"m
Unsubscribe
channel (	Rchannel
user (	Ruser
client (	Rclient
session (	Rsession"5
Closing
code (Rcode
reason (	Rreason"µ

Disconnect
user (	RuserC

disconnect (2#.centrifugal.centrifugo.api.ClosingR
disconnect
client (	Rclient
	whitelist (	R	whitelist
session (	Rsession"ö
Refresh
user (	Ruser
client (	Rclient
expired (Rexpired
	expire_at (RexpireAt
info (Rinfo
session (	Rsession"n
Client
user (	Ruser
client (	Rclient
	conn_info (RconnInfo
	chan_info (RchanInfo"π
ClientsM
presence (21.centrifugal.centrifugo.api.Clients.PresenceEntryRpresence_
PresenceEntry
key (	Rkey8
value (2".centrifugal.centrifugo.api.ClientRvalue:8"F
Counts
num_clients (R
numClients
	num_users (RnumUsers"è
History
channel (	Rchannel
limit (Rlimit:
since (2$.centrifugal.centrifugo.api.PositionRsince
reverse (Rreverse"Ò
Publication
data (Rdata6
info (2".centrifugal.centrifugo.api.ClientRinfo
offset (RoffsetE
tags (21.centrifugal.centrifugo.api.Publication.TagsEntryRtags7
	TagsEntry
key (	Rkey
value (	Rvalue:8"â
PublicationsK
publications (2'.centrifugal.centrifugo.api.PublicationRpublications
epoch (	Repoch
offset (Roffset"5
Rpc
method (	Rmethod
params (Rparams"
Data
data (Rdata"?
Nodes6
nodes (2 .centrifugal.centrifugo.api.NodeRnodes"ÿ
Node
uid (	Ruid
name (	Rname
version (	Rversion
num_clients (R
numClients
	num_users (RnumUsers!
num_channels (RnumChannels
uptime (Ruptime=
metrics (2#.centrifugal.centrifugo.api.MetricsRmetrics=
process	 (2#.centrifugal.centrifugo.api.ProcessRprocess
num_subs
 (RnumSubs"•
Metrics
interval (RintervalD
items (2..centrifugal.centrifugo.api.Metrics.ItemsEntryRitems8

ItemsEntry
key (	Rkey
value (Rvalue:8"-
Process
cpu (Rcpu
rss (Rrss"$
Channels
pattern (	Rpattern"+
Occupied
num_clients (R
numClients"∑
NamesK
channels (2/.centrifugal.centrifugo.api.Names.ChannelsEntryRchannelsa
ChannelsEntry
key (	Rkey:
value (2$.centrifugal.centrifugo.api.OccupiedRvalue:8"‰

MapPublish
channel (	Rchannel
key (	Rkey
data (RdataD
tags (20.centrifugal.centrifugo.api.MapPublish.TagsEntryRtags'
idempotency_key (	RidempotencyKey
delta	 (Rdelta
version
 (Rversion#
version_epoch (	RversionEpoch
key_mode (	RkeyMode7
	TagsEntry
key (	Rkey
value (	Rvalue:8"`
	MapRemove
channel (	Rchannel
key (	Rkey'
idempotency_key (	RidempotencyKey"Ñ
MapPosition
offset (Roffset
epoch (	Repoch

suppressed (R
suppressed'
suppress_reason (	RsuppressReason" 
MapReadState
channel (	Rchannel
cursor (	Rcursor
limit (Rlimit
key (	Rkey
asc (Rasc'
revision_offset (RrevisionOffset%
revision_epoch (	RrevisionEpoch"ù
MapReadStream
channel (	Rchannel!
since_offset (RsinceOffset
since_epoch (	R
sinceEpoch
limit (Rlimit
reverse (Rreverse"É
Entry
key (	Rkey
data (Rdata?
tags (2+.centrifugal.centrifugo.api.Entry.TagsEntryRtags
offset (Roffset
score (Rscore
removed (Rremoved
time (Rtime7
	TagsEntry
key (	Rkey
value (	Rvalue:8"ç
MapState;
entries (2!.centrifugal.centrifugo.api.EntryRentries
offset (Roffset
epoch (	Repoch
cursor (	Rcursor"v
	MapStream;
entries (2!.centrifugal.centrifugo.api.EntryRentries
offset (Roffset
epoch (	Repoch"!
Keys
num_keys (RnumKeys"É
SharedPollPublish
channel (	Rchannel
key (	Rkey
data (Rdata
version (Rversion
epoch (	Repoch2m
CentrifugoApi\
Batch(.centrifugal.centrifugo.api.BatchRequest).centrifugal.centrifugo.api.BatchResponsebproto3