package event

// Parking is the payload of parking.parked, .retrieved and .abandoned
// (kazoo 4.3 applications/webhooks/src/modules/webhooks_parking.erl).
type Parking struct {
	Call        `schema:"-"`
	EventName   string `schema:"event_name"` // PARK_PARKED, PARK_RETRIEVED or PARK_ABANDONED; absent in version 2
	ClusterID   string `schema:"cluster_id"`
	ParkingSlot string `schema:"parking_slot"`
}
